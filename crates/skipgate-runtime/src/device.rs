//! Which threads run a network.

use crate::Error;

/// Which threads of the CPU run a network.
///
/// **Threads:** a plain value. Threads start with a [`Session`](crate::Session) and end with it.
///
/// **Owns:** nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub(crate) Kind);

/// One kind for each device that the C runtime has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IREE's `local-sync`.
    Sync,
    /// IREE's `local-task`, with this many workers.
    #[cfg(target_pointer_width = "64")]
    Task(usize),
}

impl Device {
    /// Most worker threads that IREE can manage.
    pub const MAX_THREADS: usize = 256;

    /// The thread that calls [`Session::run`](crate::Session::run) does all the work. Fits small networks and pinned threads.
    pub const fn local_sync() -> Self {
        Self(Kind::Sync)
    }

    /// As many worker threads as told share the work of one inference; the caller waits.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] unless `threads` is from 1 to [`MAX_THREADS`](Self::MAX_THREADS);
    /// [`Error::NoWorkers`] on 32-bit targets, where IREE has no such device.
    pub fn local_task(threads: usize) -> Result<Self, Error> {
        if !(1..=Self::MAX_THREADS).contains(&threads) {
            return Err(Error::Threads { found: threads });
        }
        #[cfg(target_pointer_width = "64")]
        return Ok(Self(Kind::Task(threads)));
        #[cfg(not(target_pointer_width = "64"))]
        Err(Error::NoWorkers)
    }
}
