//! A pool of connections for reading; each serves one question at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::question::{Question, supervise};
use crate::db::{Connection, Database, DbError};

/// How long a question waits for a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a question takes of the pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// It may read all rows.
    pub(super) scans: bool,
    /// How long it may run; `None`: until nothing waits for its answer.
    pub(super) limit: Option<Duration>,
}

/// See the module.
pub(super) struct Readers {
    database: Arc<dyn Database>,
    idle: Mutex<Vec<Box<dyn Connection>>>,
    places: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

impl Readers {
    /// At most `places` questions run at the same time, and at most `scans` of those that may read
    /// all rows; writing continues meanwhile.
    pub(super) fn new(database: Arc<dyn Database>, places: usize, scans: usize) -> Self {
        Self {
            database,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
            scans: Arc::new(Semaphore::new(scans)),
        }
    }

    /// Runs the closure on a thread where it may block. It sees one state of the database. When the
    /// caller goes away, the statement that runs is interrupted.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        claim: Claim,
        queries: impl FnOnce(&mut dyn Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        // In this order: a scan that waits for its turn keeps no place from others.
        let scan = if claim.scans {
            Some(place(&self.scans, "too many scans run").await?)
        } else {
            None
        };
        let place = place(&self.places, "all readers are in use").await?;

        let question = Arc::<Question>::default();
        let (readers, seen) = (Arc::clone(self), Arc::clone(&question));
        let work = spawn_blocking(move || {
            let _until_free = (scan, place);
            readers.run(&seen, queries)
        });

        let (answer, answered) = oneshot::channel();
        tokio::spawn(supervise(question, work, answer, claim.limit));
        answered.await.map_err(DbError::failed)?
    }

    fn run<T>(
        &self,
        question: &Question,
        queries: impl FnOnce(&mut dyn Connection) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut connection = self.begin()?;
        let begun = question.begin(connection.interrupter());
        let result = begun.and_then(|()| queries(&mut *connection));
        connection.rollback();

        let is_clean = question.finish() && !connection.is_lost();
        if is_clean && !self.places.is_closed() {
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
        self.scans.close();
        self.places.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

async fn place(
    places: &Arc<Semaphore>,
    otherwise: &'static str,
) -> Result<OwnedSemaphorePermit, DbError> {
    timeout(PATIENCE, Arc::clone(places).acquire_owned())
        .await
        .map_err(|_| DbError::Busy(otherwise.into()))?
        .map_err(DbError::failed)
}
