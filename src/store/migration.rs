//! The steps from an empty file to today's tables.
//!
//! Shipped steps stay as they are; a change is a new step. The number of steps done is kept in the
//! file's own header (`user_version`), so that a database from the future is recognised.

use crate::domain::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

/// The steps in order.
pub const STEPS: &[&str] = &[
    include_str!("../../migrations/0001_user.sql"),
    include_str!("../../migrations/0002_token.sql"),
    include_str!("../../migrations/0003_room.sql"),
    include_str!("../../migrations/0004_group.sql"),
    include_str!("../../migrations/0005_invite.sql"),
    include_str!("../../migrations/0006_deuce.sql"),
    include_str!("../../migrations/0007_reaction.sql"),
    include_str!("../../migrations/0008_location.sql"),
    include_str!("../../migrations/0009_idempotency.sql"),
];

/// Marks a file as ours (`application_id`): "deuc".
const APPLICATION: i32 = 0x6465_7563;

/// Does all steps that are missing, in one transaction. A step that fails changes nothing.
///
/// # Errors
/// When the file belongs to another program or to a newer version of this one, or a step fails.
pub fn run(connection: &mut Connection) -> Result<()> {
    // Another process may be doing the same; whoever comes second finds it done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && tables > 0 {
        return Err(Error::unavailable("the database file belongs to another program"));
    }
    if done > STEPS.len() {
        return Err(Error::unavailable(format!(
            "the database is from a newer version of deuced (step {done}, this one knows {}); \
             install that version or restore a backup",
            STEPS.len()
        )));
    }
    if done == STEPS.len() {
        return Ok(());
    }
    for step in &STEPS[done..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", STEPS.len())?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table, index and trigger with its text, and every row the steps bring along.
    fn describe(connection: &Connection) -> Vec<String> {
        let sql = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema
                   UNION ALL SELECT 'location ' || name FROM location ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
    }

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection).unwrap();
        connection
    }

    #[test]
    fn every_earlier_schema_upgraded_equals_a_fresh_one() {
        for begin in 1..STEPS.len() {
            let mut old = Connection::open_in_memory().unwrap();
            STEPS[..begin].iter().for_each(|step| old.execute_batch(step).unwrap());
            old.pragma_update(None, "application_id", APPLICATION).unwrap();
            old.pragma_update(None, "user_version", begin).unwrap();
            run(&mut old).unwrap();
            assert_eq!(describe(&old), describe(&fresh()), "from step {begin}");
        }
    }

    #[test]
    fn a_database_from_the_future_is_refused_with_a_sentence() {
        let mut connection = fresh();
        connection.pragma_update(None, "user_version", STEPS.len() + 1).unwrap();
        let message = run(&mut connection).unwrap_err().message;
        assert!(message.contains("newer version of deuced"), "{message}");
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
        assert!(run(&mut connection).unwrap_err().message.contains("another program"));
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let mut connection = fresh();
        run(&mut connection).unwrap();
        assert_eq!(describe(&connection), describe(&fresh()));
    }
}
