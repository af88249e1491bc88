//! The async runtime behind the blocking interface.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Threads that move bytes. Everything that computes runs elsewhere.
const WORKER_THREADS: usize = 2;

/// The process's runtime, started at the first use.
///
/// # Errors
///
/// Fails when the system gives no threads.
pub(crate) fn runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // reqwest is built without a TLS provider of its own; another one that is installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("forkpack-net")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}
