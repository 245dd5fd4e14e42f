//! The schema: numbered, embedded scripts, each run once and in order.

use super::{Connection, DbError, OpenError};
use crate::db;

/// The scripts of one database, oldest first; a script is never changed once it was released.
pub(super) struct Scripts {
    /// Query for the names of what the database holds.
    names: &'static str,
    /// Whether others may have tables beside those of the ledger. A schema of PostgreSQL also holds
    /// what extensions make; a file of SQLite belongs to one program.
    has_neighbours: bool,
    list: &'static [&'static str],
}

impl Scripts {
    /// Whether a script makes a table of this name.
    fn make(&self, name: &str) -> bool {
        let statement = format!("CREATE TABLE {name} (");
        self.list.iter().any(|script| script.contains(&statement))
    }
}

pub(super) const SQLITE: &Scripts = &Scripts {
    // SQLite keeps tables of its own. Another program may have marked a file before it makes tables.
    names: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
        UNION ALL SELECT 'application_id ' || application_id FROM pragma_application_id \
        WHERE application_id <> 0",
    has_neighbours: false,
    list: &[include_str!("../../migrations/sqlite/0001_ledger.sql")],
};

pub(super) const POSTGRES: &Scripts = &Scripts {
    names: "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
    has_neighbours: true,
    list: &[include_str!("../../migrations/postgres/0001_ledger.sql")],
};

/// The table that the unreleased script got last: a database without it was made before.
const NEWEST: &str = "segments";

/// Brings the schema up to date, in one transaction. Returns whether there was none.
pub(super) fn run(connection: &mut dyn Connection, scripts: &Scripts) -> Result<bool, OpenError> {
    db::write(connection, |connection| {
        let missing = missing(connection, scripts)?;
        for script in missing {
            apply(connection, script)?;
        }
        Ok(missing.len() == scripts.list.len())
    })
}

/// Fails unless the schema is that of the format before.
pub(super) fn check_earlier(
    connection: &mut dyn Connection,
    scripts: &Scripts,
) -> Result<(), OpenError> {
    match versions(connection, scripts) {
        Err(OpenError::Earlier) => Ok(()),
        Ok(_) => Err(OpenError::Foreign(
            "it is not of the earlier format".to_owned(),
        )),
        Err(other) => Err(other),
    }
}

/// Fails unless the schema is up to date.
pub(super) fn check(connection: &mut dyn Connection, scripts: &Scripts) -> Result<(), OpenError> {
    connection.begin_read()?;
    let done = versions(connection, scripts);
    connection.rollback();
    match done? {
        Some(done) if done == scripts.list.len() => Ok(()),
        _ => Err(OpenError::Foreign(
            "its schema is not of this version".to_owned(),
        )),
    }
}

fn missing<'s>(
    connection: &mut dyn Connection,
    scripts: &'s Scripts,
) -> Result<&'s [&'static str], OpenError> {
    let done = applied(connection, scripts)?;
    scripts
        .list
        .get(done..)
        .ok_or_else(|| OpenError::Foreign("its schema is of a later version".to_owned()))
}

/// How many scripts have been run; the first run makes the table that counts them.
fn applied(connection: &mut dyn Connection, scripts: &Scripts) -> Result<usize, OpenError> {
    match versions(connection, scripts)? {
        Some(done) => Ok(done),
        None => {
            connection.execute(
                "CREATE TABLE schema_versions (script BIGINT PRIMARY KEY)",
                &[],
            )?;
            Ok(0)
        }
    }
}

/// How many scripts have been run; `None` in an empty database.
fn versions(
    connection: &mut dyn Connection,
    scripts: &Scripts,
) -> Result<Option<usize>, OpenError> {
    let mut names = Vec::new();
    connection.query(scripts.names, &[], &mut |row| {
        names.extend(row.text(0)?.map(ToOwned::to_owned));
        Ok(())
    })?;

    let has = |table: &str| names.iter().any(|name| name == table);
    if has("schema_versions") && has("records") && !has(NEWEST) {
        return Err(OpenError::Earlier);
    }

    if has("schema_versions") {
        let mut done = 0;
        connection.query("SELECT COUNT(*) FROM schema_versions", &[], &mut |row| {
            done = usize::try_from(row.integer(0)?.unwrap_or_default()).unwrap_or(usize::MAX);
            Ok(())
        })?;
        return Ok(Some(done));
    }

    let is_foreign = |name: &String| !scripts.has_neighbours || scripts.make(name);
    let foreign = names.into_iter().find(is_foreign);
    foreign.map_or(Ok(None), |name| Err(OpenError::Foreign(name)))
}

/// Statements end with a semicolon at the end of a line.
fn apply(connection: &mut dyn Connection, script: &str) -> Result<(), DbError> {
    for statement in script
        .split(";\n")
        .filter(|statement| !statement.trim().is_empty())
    {
        connection.execute(statement, &[])?;
    }

    connection.execute(
        "INSERT INTO schema_versions SELECT COUNT(*) + 1 FROM schema_versions",
        &[],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use crate::db::sqlite::SqliteDatabase;

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for (found, made_by) in [
            (
                "records",
                "CREATE TABLE records (id INTEGER PRIMARY KEY AUTOINCREMENT)",
            ),
            (
                "bookmarks",
                "CREATE TABLE bookmarks (id INTEGER PRIMARY KEY)",
            ),
            ("latest", "CREATE VIEW latest AS SELECT 1"),
            ("application_id 1234", "PRAGMA application_id = 1234"),
        ] {
            let file = directory.path().join(found);
            let url = format!("sqlite://{}", file.display());
            let mut connection = SqliteDatabase::new(&url).unwrap().create().unwrap();
            connection.execute(made_by, &[]).unwrap();
            drop(connection);

            let before = std::fs::read(&file).unwrap();
            assert!(matches!(open(&url).err(), Some(OpenError::Foreign(name)) if name == found));
            assert_eq!(std::fs::read(&file).unwrap(), before);
        }
    }

    #[test]
    fn only_tables_of_the_ledger_collide_in_a_schema_with_others() {
        let ours = super::POSTGRES;
        assert!(ours.has_neighbours && ours.make("records") && ours.make("head"));
        assert!(!ours.make("spatial_ref_sys") && !ours.make("record"));
    }

    #[test]
    fn a_schema_of_a_later_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        let opened = open(&url).unwrap();
        let mut connection = opened.database.connect().unwrap();
        connection
            .execute("INSERT INTO schema_versions VALUES (99)", &[])
            .unwrap();
        assert!(matches!(open(&url).err(), Some(OpenError::Foreign(_))));
    }

    #[test]
    fn a_schema_of_an_earlier_unreleased_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        let opened = open(&url).unwrap();
        let mut connection = opened.database.connect().unwrap();
        connection.execute("DROP TABLE segments", &[]).unwrap();
        for refused in [open(&url), open_existing(&url)] {
            assert!(matches!(refused.err(), Some(OpenError::Earlier)));
        }
        assert!(open_earlier(&url).is_ok());
    }

    #[test]
    fn a_second_opening_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        open(&url).unwrap();
        open(&url).unwrap();
    }
}
