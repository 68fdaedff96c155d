//! Ctrl-C while real processes run: the run ends as by an error, so that what ends the children is run. Owns the signals; a
//! second one, and one that comes while no fleet is there, does what it always does.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Held by a fleet for as long as it has children.
pub(super) struct Interrupts(Arc<Watch>);

/// One for the whole program: signals are.
struct Watch {
    fleets: AtomicUsize,
    /// No fleet is there, or one was interrupted already.
    acts: Arc<AtomicBool>,
    is_interrupted: Arc<AtomicBool>,
}

static WATCH: Mutex<Option<Arc<Watch>>> = Mutex::new(None);

impl Interrupts {
    /// # Errors
    /// What the system says about signals.
    pub fn watch() -> io::Result<Self> {
        let mut kept = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = match kept.take() {
            Some(watch) => watch,
            None => Arc::new(Watch::begin()?),
        };
        *kept = Some(Arc::clone(&watch));
        watch.fleets.fetch_add(1, Ordering::SeqCst);
        watch.acts.store(false, Ordering::SeqCst);
        Ok(Self(watch))
    }

    pub fn is_interrupted(&self) -> bool {
        self.0.is_interrupted.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        if self.0.fleets.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.acts.store(true, Ordering::SeqCst);
        }
    }
}

impl Watch {
    fn begin() -> io::Result<Self> {
        let (acts, is_interrupted) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // They run in this order, so the first signal only sets the flags.
            flag::register_conditional_default(signal, Arc::clone(&acts))?;
            flag::register(signal, Arc::clone(&is_interrupted))?;
            flag::register(signal, Arc::clone(&acts))?;
        }
        Ok(Self { fleets: AtomicUsize::new(0), acts, is_interrupted })
    }
}
