//! A pool of connections for reading; each serves one caller at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::db::{Connection, Database, DbError};

/// How long a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Readers {
    database: Arc<dyn Database>,
    idle: Mutex<Vec<Box<dyn Connection>>>,
    places: Semaphore,
}

impl Readers {
    /// At most `places` callers are served at the same time; writing continues meanwhile.
    pub(super) fn new(database: Arc<dyn Database>, places: usize) -> Self {
        Self {
            database,
            idle: Mutex::default(),
            places: Semaphore::new(places),
        }
    }

    /// Runs the closure on a thread where it may block. It sees one state of the database.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        queries: impl FnOnce(&mut dyn Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let place = timeout(PATIENCE, self.places.acquire()).await;
        let _place = place
            .map_err(|_| DbError::Busy("all readers are in use".into()))?
            .map_err(DbError::failed)?;

        let readers = self.clone();
        spawn_blocking(move || readers.run(queries))
            .await
            .map_err(DbError::failed)?
    }

    fn run<T>(
        &self,
        queries: impl FnOnce(&mut dyn Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut connection = self.begin()?;
        let result = queries(&mut *connection);
        connection.rollback();

        if !connection.is_lost() && !self.places.is_closed() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }

        result
    }

    /// Begins a transaction that sees one state of the database. A lost idle connection is detected
    /// here and dropped.
    fn begin(&self) -> Result<Box<dyn Connection>, DbError> {
        while let Some(mut idle) = self.take() {
            match idle.begin_read() {
                Ok(()) => return Ok(idle),
                Err(_) if idle.is_lost() => {}
                Err(error) => return Err(error),
            }
        }

        let mut new = self.database.connect()?;
        new.begin_read()?;
        Ok(new)
    }

    fn take(&self) -> Option<Box<dyn Connection>> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    /// Later calls fail; the connections are closed.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
