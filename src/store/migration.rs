//! The steps from an empty file to today's tables.
//!
//! Shipped steps stay as they are; a change is a new step. The number of steps done is kept in the
//! file's own header (`user_version`), so that a database from the future is recognised.

use crate::domain::{Code, Error, Result};
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
    include_str!("../../migrations/0010_message.sql"),
    include_str!("../../migrations/0011_notification.sql"),
    include_str!("../../migrations/0012_secret.sql"),
    include_str!("../../migrations/0013_link.sql"),
    include_str!("../../migrations/0014_device.sql"),
    include_str!("../../migrations/0015_backup.sql"),
    include_str!("../../migrations/0016_written.sql"),
];

/// Marks a file as ours (`application_id`): "deuc".
const APPLICATION: i32 = 0x6465_7563;

/// Whether all steps are done and no others.
///
/// # Errors
/// Those of the storage.
pub fn is_current(connection: &Connection) -> Result<bool> {
    let done: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(done == STEPS.len())
}

/// Whether the file is ours, and not of a newer version.
///
/// # Errors
/// When it is not; the sentence says what to do.
pub fn recognise(connection: &Connection) -> Result<()> {
    let done: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && tables > 0 {
        return Err(Error::new(Code::Damaged, "the database file belongs to another program"));
    }
    if done > STEPS.len() {
        return Err(Error::new(
            Code::Damaged,
            format!(
                "the database is from a newer version of deuced (step {done}, this one knows {}); \
                 install that version or restore a backup",
                STEPS.len()
            ),
        ));
    }
    Ok(())
}

/// The last step that was done, when there is something to lose and steps are missing.
///
/// # Errors
/// As [`recognise`].
pub fn due(connection: &Connection) -> Result<Option<usize>> {
    recognise(connection)?;
    let done: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((1..STEPS.len()).contains(&done).then_some(done))
}

/// Does all steps that are missing, in one transaction. A step that fails changes nothing.
///
/// # Errors
/// When the file belongs to another program or to a newer version of this one, or a step fails.
pub fn run(connection: &mut Connection) -> Result<()> {
    // Another process may be doing the same; whoever comes second finds it done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    recognise(&transaction)?;
    let done: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
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

    /// SHA-256 of the steps that were shipped, in order. A shipped step stays as it is, because
    /// somebody's database was made by it; what is to change is a new step and a new line here.
    const SHIPPED: &[&str] = &[
        "c16c3b9d7f16cb75d40dd697f4a4813e6aeeff43bbd828301a3b20511bd65efd",
        "55c4f3855e341b4ba452b153561bf1e72410450929e30dce8bd4cf6ce3b7e7a7",
        "5920b550bb6aeee815b40ad066ee177e9e59e419ee0a0717959cc8a8111253fc",
        "cd86cca449dafda5f56d2281fd0c2b3d027a1b77db223e5be41cfe09ff8425bf",
        "32d2145017f700509ca4f4c64b64bdf18e2138374759ca15a9efda621c4036d5",
        "bcabfca4aa466a05844332784ec675d5b9fd7617320e79f65617637f2b38faf6",
        "08cfb75edd93faf278ca208febc10cf581a3b36c52d9e90c174273f24d2d0f43",
        "64b77e52480d444c43e07129884b3ffe709707872913b7c2bffbf69d69f2aef4",
        "14fece5fce4a768328eac5debc3476e1d015f91864e8f55435a3c9eb2e6d60d6",
        "c818660adf14d3e65cc1d32f1986c6f7eb63c6ebf303da4915b90ba6bf91057e",
        "6fdfe1527d88ab104dd4027fda08646ebfaf3e416db9c4597c5bc965445b61fb",
        "fc37f59fad501c647565d0b9205e5101f480c0a9bc00b3107d4ee6a989d7ac35",
        "e16428e265731473c1aeb6c8e7a2d3a391bb4d25c23be44378db4db953749354",
        "c75aae97cb9b06fcb4318782174865d4fa68a6b80e5b827406e43edef7b4bce0",
    ];

    #[test]
    fn shipped_steps_stay_as_they_are() {
        use sha2::{Digest, Sha256};
        for (step, shipped) in STEPS.iter().zip(SHIPPED) {
            let digest: String =
                Sha256::digest(step.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(&digest, shipped, "{}", step.lines().next().unwrap_or_default());
        }
        assert!(SHIPPED.len() <= STEPS.len(), "a shipped step is missing");
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let mut connection = fresh();
        run(&mut connection).unwrap();
        assert_eq!(describe(&connection), describe(&fresh()));
    }
}
