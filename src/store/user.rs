//! People's rows.

use crate::domain::user::{Account, display_name};
use crate::domain::{GroupId, Person, Result, RoomId, Time, User, UserId};
use crate::store::{Db, Tx, time_at};
use rusqlite::{Row, params};

/// The columns that [`from_row`] reads, in its order.
macro_rules! user_columns {
    () => {
        "user.id, user.uid, user.email, user.first_name, user.last_name, user.username, user.picture, \
         user.deuce_count, user.admin, user.created_at, user.updated_at, user.child, user.disabled_at IS NOT NULL"
    };
}
pub(super) use user_columns;

/// The columns that [`person_from_row`] reads, in its order, of the table or alias named.
macro_rules! person_columns {
    ($table:literal) => {
        concat!(
            $table,
            ".id, ",
            $table,
            ".uid, ",
            $table,
            ".username, ",
            $table,
            ".first_name, ",
            $table,
            ".last_name"
        )
    };
}
pub(super) use person_columns;

/// How many columns that are.
pub(super) const PERSON_WIDTH: usize = 5;

/// The person whose columns begin at `at`; `None` where an outer join found nobody.
pub(super) fn person_from_row(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Person>> {
    let Some(id) = row.get(at)? else { return Ok(None) };
    let text = |column: usize| row.get_ref(at + column)?.as_str_or_null().map_err(rusqlite::Error::from);
    let (username, first, last) = (text(2)?, text(3)?, text(4)?);
    Ok(Some(Person {
        id: UserId(id),
        uid: row.get(at + 1)?,
        name: display_name(username, first, last),
        login_name: first.unwrap_or_default().to_owned(),
    }))
}

/// What others call the person of that number, who may be deleted.
pub fn person(db: &Db, id: UserId) -> Result<Option<Person>> {
    let sql = concat!("SELECT ", person_columns!("user"), " FROM user WHERE id = ?1");
    Ok(db.one(sql, [id.0], |row| person_from_row(row, 0))?.flatten())
}

/// What others call everybody.
pub fn everybody(db: &Db) -> Result<Vec<Person>> {
    let sql = concat!("SELECT ", person_columns!("user"), " FROM user WHERE deleted_at IS NULL");
    Ok(db.all(sql, [], |row| person_from_row(row, 0))?.into_iter().flatten().collect())
}

/// What others call everybody who is no child.
pub fn grown_ups(db: &Db) -> Result<Vec<Person>> {
    let sql =
        concat!("SELECT ", person_columns!("user"), " FROM user WHERE deleted_at IS NULL AND child = 0");
    Ok(db.all(sql, [], |row| person_from_row(row, 0))?.into_iter().flatten().collect())
}

/// How many columns [`from_row`] reads.
const WIDTH: usize = 13;

/// The person whose columns begin at `at`.
pub(super) fn from_row(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId(row.get(at)?),
        uid: row.get(at + 1)?,
        email: row.get(at + 2)?,
        first_name: row.get(at + 3)?,
        last_name: row.get(at + 4)?,
        username: row.get(at + 5)?,
        picture: row.get(at + 6)?,
        deuce_count: row.get(at + 7)?,
        admin: row.get(at + 8)?,
        created_at: time_at(row, at + 9)?,
        updated_at: time_at(row, at + 10)?,
        child: row.get(at + 11)?,
        disabled: row.get(at + 12)?,
    })
}

/// A person to be stored.
pub struct NewUser<'a> {
    /// The id on the wire.
    pub uid: &'a str,
    /// Shown to its owner only.
    pub email: Option<&'a str>,
    /// The name as typed.
    pub first_name: &'a str,
    /// The password's hash, where there are passwords.
    pub password: Option<&'a str>,
    /// Owns the server.
    pub admin: bool,
    /// May do less.
    pub child: bool,
}

/// Stores a person; `None` when the wire id is taken.
pub fn insert(tx: &Tx<'_>, new: &NewUser<'_>) -> Result<Option<User>> {
    let sql = concat!(
        "INSERT INTO user (uid, email, first_name, password, admin, child, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT DO NOTHING RETURNING ",
        user_columns!()
    );
    let now = tx.now().millis();
    let params = params![new.uid, new.email, new.first_name, new.password, new.admin, new.child, now];
    tx.one(sql, params, |row| from_row(row, 0))
}

/// The person of that number, unless deleted.
pub fn find(db: &Db, id: UserId) -> Result<Option<User>> {
    let sql = concat!("SELECT ", user_columns!(), " FROM user WHERE id = ?1 AND deleted_at IS NULL");
    db.one(sql, [id.0], |row| from_row(row, 0))
}

/// The person of that wire id, unless deleted.
pub fn find_by_uid(db: &Db, uid: &str) -> Result<Option<User>> {
    let sql = concat!("SELECT ", user_columns!(), " FROM user WHERE uid = ?1 AND deleted_at IS NULL");
    db.one(sql, [uid], |row| from_row(row, 0))
}

/// The number of a person by wire id or, failing that, by username, and the password's hash of one who may log in.
pub fn credentials(db: &Db, uid: &str, username: &str) -> Result<Option<(UserId, Option<String>)>> {
    let sql = "SELECT id, CASE WHEN disabled_at IS NULL THEN password END FROM user WHERE (uid = ?1 OR username = ?2) AND deleted_at IS NULL
               ORDER BY uid = ?1 DESC LIMIT 1";
    db.one(sql, [uid, username], |row| Ok((UserId(row.get(0)?), row.get(1)?)))
}

/// The password's hash of a person who has one.
pub fn password(db: &Db, id: UserId) -> Result<Option<String>> {
    let sql = "SELECT password FROM user WHERE id = ?1 AND deleted_at IS NULL";
    Ok(db.one(sql, [id.0], |row| row.get(0))?.flatten())
}

/// Sets a person's password.
pub fn set_password(tx: &Tx<'_>, id: UserId, password: &str) -> Result<()> {
    let sql = "UPDATE user SET password = ?2, updated_at = ?3 WHERE id = ?1";
    tx.execute(sql, params![id.0, password, tx.now().millis()])?;
    Ok(())
}

/// Notes that a person has logged in.
pub fn note_login(tx: &Tx<'_>, id: UserId) -> Result<()> {
    tx.execute("UPDATE user SET logged_in_at = ?2 WHERE id = ?1", params![id.0, tx.now().millis()])?;
    Ok(())
}

/// Whether that person is a child.
pub fn is_child(db: &Db, id: UserId) -> Result<bool> {
    Ok(db.one("SELECT child FROM user WHERE id = ?1", [id.0], |row| row.get(0))?.unwrap_or(false))
}

/// Makes a person a child, or not.
pub fn set_child(tx: &Tx<'_>, id: UserId, child: bool) -> Result<()> {
    tx.execute("UPDATE user SET child = ?2 WHERE id = ?1", params![id.0, child])?;
    Ok(())
}

/// Makes a person an owner of the server, or not.
pub fn set_owner(tx: &Tx<'_>, id: UserId, owner: bool) -> Result<()> {
    tx.execute("UPDATE user SET admin = ?2 WHERE id = ?1", params![id.0, owner])?;
    Ok(())
}

/// Lets a person log in no more, or again.
pub fn set_disabled(tx: &Tx<'_>, id: UserId, disabled: bool) -> Result<()> {
    let sql = "UPDATE user SET disabled_at = CASE WHEN ?2 THEN coalesce(disabled_at, ?3) END WHERE id = ?1";
    tx.execute(sql, params![id.0, disabled, tx.now().millis()])?;
    Ok(())
}

/// Whether the server has an owner who may log in: besides this person, if one is named. Who has not chosen a password
/// yet counts only where nobody has one.
pub fn is_owned(db: &Db, besides: Option<UserId>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM user WHERE admin = 1 AND disabled_at IS NULL AND deleted_at IS NULL
                   AND id IS NOT ?1 AND (password IS NOT NULL
                        OR NOT EXISTS (SELECT 1 FROM user WHERE password IS NOT NULL AND deleted_at IS NULL)))";
    db.only(sql, [besides.map(|besides| besides.0)], |row| row.get(0))
}

/// All accounts, or the one of that number, oldest first.
pub fn accounts(db: &Db, only: Option<UserId>) -> Result<Vec<Account>> {
    let sql = concat!(
        "SELECT ",
        user_columns!(),
        ", user.password IS NOT NULL, user.logged_in_at FROM user WHERE user.deleted_at IS NULL AND (?1 IS NULL OR user.id = ?1) ORDER BY user.id"
    );
    let mut accounts = db.all(sql, [only.map(|only| only.0)], |row| {
        let logged_in_at: Option<i64> = row.get(WIDTH + 1)?;
        Ok(Account {
            user: from_row(row, 0)?,
            ready: row.get(WIDTH)?,
            logged_in_at: logged_in_at.and_then(Time::from_millis),
            groups: Vec::new(),
        })
    })?;
    let sql = r#"SELECT "group".id, "group".name FROM member JOIN "group" ON "group".id = member.group_id
                 WHERE member.user_id = ?1 ORDER BY member.id"#;
    for account in &mut accounts {
        account.groups = db.all(sql, [account.user.id.0], |row| Ok((GroupId(row.get(0)?), row.get(1)?)))?;
    }
    Ok(accounts)
}

/// Gives a person a password who has none; `false` when they have one.
pub fn set_first_password(tx: &Tx<'_>, uid: &str, password: &str, admin: bool) -> Result<bool> {
    let sql = "UPDATE user SET password = ?2, admin = max(admin, ?3), updated_at = ?4
               WHERE uid = ?1 AND password IS NULL";
    Ok(tx.execute(sql, params![uid, password, admin, tx.now().millis()])? == 1)
}

/// Whether anybody has a password.
pub fn is_password_set(db: &Db) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM user WHERE password IS NOT NULL AND deleted_at IS NULL)";
    db.only(sql, [], |row| row.get(0))
}

/// How many people there are, those who left aside.
pub fn count(db: &Db) -> Result<u64> {
    db.only("SELECT count(*) FROM user WHERE deleted_at IS NULL", [], |row| row.get(0))
}

/// Sets the profile name; `false` when somebody else has exactly this one.
pub fn set_username(tx: &Tx<'_>, id: UserId, username: &str) -> Result<bool> {
    let sql = "UPDATE OR IGNORE user SET username = ?2, updated_at = ?3 WHERE id = ?1";
    Ok(tx.execute(sql, params![id.0, username, tx.now().millis()])? == 1)
}

/// Sets the picture's path and says which one it replaces.
pub fn set_picture(tx: &Tx<'_>, id: UserId, path: Option<&str>) -> Result<Option<String>> {
    let old = picture(tx, id)?;
    let sql = "UPDATE user SET picture = ?2, updated_at = ?3 WHERE id = ?1";
    tx.execute(sql, params![id.0, path, tx.now().millis()])?;
    Ok(old)
}

fn picture(db: &Db, id: UserId) -> Result<Option<String>> {
    db.one("SELECT picture FROM user WHERE id = ?1", [id.0], |row| row.get(0)).map(Option::flatten)
}

/// Every picture that somebody has.
pub fn pictures(db: &Db) -> Result<Vec<String>> {
    db.all("SELECT picture FROM user WHERE picture IS NOT NULL", [], |row| row.get(0))
}

/// Counts one more post, of so many entries, and returns the person as of then.
pub fn count_deuce(tx: &Tx<'_>, id: UserId, entries: u64) -> Result<User> {
    let sql = concat!(
        "UPDATE user SET deuce_count = deuce_count + 1, day = now.today,
             day_count = CASE day WHEN now.today THEN day_count ELSE 0 END + ?3,
             best_day = CASE WHEN CASE day WHEN now.today THEN day_count ELSE 0 END + ?3 >= best_count
                        THEN now.today ELSE best_day END,
             best_count = max(best_count, CASE day WHEN now.today THEN day_count ELSE 0 END + ?3)
         FROM (SELECT date(?2 / 1000, 'unixepoch', 'localtime') AS today) AS now
         WHERE id = ?1 RETURNING ",
        user_columns!()
    );
    tx.only(sql, params![id.0, tx.now().millis(), entries], |row| from_row(row, 0))
}

/// Counts an entry stored then that is gone. Only when it was of the best day are all entries of the
/// person looked at.
pub fn uncount_day(tx: &Tx<'_>, id: UserId, stored_at: Time) -> Result<()> {
    let sql = "SELECT date(?2 / 1000, 'unixepoch', 'localtime') = best_day FROM user WHERE id = ?1";
    let params = params![id.0, stored_at.millis()];
    if tx.one(sql, params, |row| row.get::<_, Option<bool>>(0))?.flatten().unwrap_or(false) {
        return recount_days(tx, id);
    }
    let sql = "UPDATE user SET day_count = day_count - 1
               WHERE id = ?1 AND day = date(?2 / 1000, 'unixepoch', 'localtime')";
    tx.execute(sql, params)?;
    Ok(())
}

/// Counts a person's days anew, after entries have gone.
pub fn recount_days(tx: &Tx<'_>, id: UserId) -> Result<()> {
    tx.execute(
        "WITH counted AS (
             SELECT date(created_at / 1000, 'unixepoch', 'localtime') AS day, count(*) AS entries
             FROM entry WHERE user_id = ?1 GROUP BY 1),
         best AS (SELECT day, entries FROM counted ORDER BY entries DESC, day DESC LIMIT 1)
         UPDATE user SET
             day_count = coalesce((SELECT entries FROM counted WHERE counted.day = user.day), 0),
             best_day = (SELECT day FROM best),
             best_count = coalesce((SELECT entries FROM best), 0)
         WHERE id = ?1",
        [id.0],
    )?;
    Ok(())
}

/// Empties a person's row. What others see of it from now on is `Someone`, and its wire id is free.
pub fn erase(tx: &Tx<'_>, id: UserId) -> Result<()> {
    let sql = "UPDATE user SET uid = 'gone-' || id, email = NULL, first_name = NULL, last_name = NULL,
               username = NULL, picture = NULL, password = NULL, admin = 0, child = 0, disabled_at = NULL,
               logged_in_at = NULL, deuce_count = 0,
               day = NULL, day_count = 0, best_day = NULL, best_count = 0,
               updated_at = ?2, deleted_at = ?2 WHERE id = ?1";
    tx.execute(sql, params![id.0, tx.now().millis()])?;
    tx.execute("DELETE FROM link WHERE user_id = ?1", [id.0])?;
    tx.execute("DELETE FROM location WHERE created_by = ?1", [id.0])?;
    tx.execute("DELETE FROM room WHERE id = ?1", [RoomId::inbox(id).0])?;
    tx.execute("DELETE FROM idempotency WHERE user_id = ?1", [id.0])?;
    Ok(())
}
