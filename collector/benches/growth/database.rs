//! The databases of the collector, and what a ledger takes in each.

use std::fs;
use std::path::{Path, PathBuf};

use postgres::{Client, NoTls};
use testkit::collector::Postgres;

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A database that stays in the folder.
pub enum Database {
    /// A folder that has the file and whatever a build puts beside it.
    Sqlite(PathBuf),
    /// Its URL.
    Postgres(String),
}

/// All that belongs to the ledger in a database of its own.
const RELATIONS: &str = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'm') AND n.nspname = current_schema()";

impl Database {
    /// That of the build with this name.
    pub fn open(folder: &Path, server: Option<&Postgres>, build: &str) -> Self {
        if let Some(server) = server {
            return Self::Postgres(server.database(&format!("build_{build}")));
        }
        let folder = folder.join(format!("sqlite-{build}"));
        fs::create_dir_all(&folder).unwrap();
        Self::Sqlite(folder)
    }

    /// The flag of the collector.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}/audit.db", folder.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Bytes of the ledger with its indexes and views, after the collector has ended in order.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Sqlite(folder) => {
                let files = fs::read_dir(folder).unwrap();
                files
                    .map(|file| file.unwrap().metadata().unwrap().len())
                    .sum()
            }
            Self::Postgres(url) => {
                let row = Client::connect(url, NoTls)
                    .unwrap()
                    .query_one(RELATIONS, &[]);
                row.unwrap().get::<_, i64>(0) as u64
            }
        }
    }
}
