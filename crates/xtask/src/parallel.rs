//! Work on all cores.

use std::sync::Mutex;
use std::thread;

use anyhow::{Result, anyhow};

/// Does `work` on all `jobs`, as many at a time as there are cores: emulation is slow, and nobody times it.
pub(crate) fn in_parallel<J: Copy + Send, R: Send>(
    jobs: Vec<J>,
    work: impl Fn(J) -> Result<R> + Sync,
) -> Result<Vec<(J, R)>> {
    let workers = thread::available_parallelism()?.get();
    let waiting = Mutex::new(jobs.into_iter());
    let next = || waiting.lock().ok()?.next();
    let work =
        &|| -> Result<Vec<(J, R)>> { std::iter::from_fn(next).map(|job| Ok((job, work(job)?))).collect() };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::new();
        for thread in threads {
            done.extend(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        Ok(done)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn every_job_is_done_once() {
        let mut done = in_parallel((0..100).collect(), |job: usize| Ok(job * 2)).unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..100).map(|job| (job, job * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_fails_fails_them_all() {
        let work = |job: usize| if job == 3 { bail!("no") } else { Ok(()) };
        assert_eq!(in_parallel((0..5).collect(), work).unwrap_err().to_string(), "no");
    }
}
