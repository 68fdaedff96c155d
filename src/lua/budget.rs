//! What a script may still use until it gives control back. Owns the counting, of instructions and of work that takes
//! none; knows nothing of what the script does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mlua::{HookTriggers, Lua, Table, Value, VmState};

use super::place;
use crate::base::limits::SCRIPT_MEMORY_BYTES_MAX;

/// Instructions between two looks at what is left. A look takes as long as some 30 instructions.
pub(super) const STRIDE: u32 = 100;

/// A garbage collection over less than this is not charged for: a usual script never meets more, so that its count is
/// the same each time.
const COLLECTED_FREE_BYTES: usize = 512 * 1024;
/// Bytes that are copied, cleared and freed in the time of one instruction.
const BYTES_PER_INSTRUCTION: usize = 128;

/// What ran out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    Instructions,
    Memory,
}

#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
    ran_out: AtomicU8,
    /// The line of a script that was running when something ran out.
    place: Mutex<Option<String>>,
    /// The coroutine that was told to yield for good, by its address.
    told: AtomicUsize,
}

/// Goes through Lua as an error, where a script cannot yield. What ran out is in the [`Budget`], because scripts can
/// change errors on their way.
#[derive(Debug, thiserror::Error)]
#[error("the script was stopped")]
struct Stopped;

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            left: AtomicI64::new(i64::MAX),
            ran_out: AtomicU8::new(0),
            place: Mutex::new(None),
            told: AtomicUsize::new(0),
        }
    }

    /// Begins anew with `instructions`.
    pub(super) fn refill(&self, instructions: u64) {
        self.left.store(i64::try_from(instructions).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.ran_out.store(0, Ordering::Relaxed);
        self.told.store(0, Ordering::Relaxed);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn ran_out(&self) -> Option<Limit> {
        match self.ran_out.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Limit::Instructions),
            _ => Some(Limit::Memory),
        }
    }

    /// `echo.lua:7: `, if a script ran when something ran out.
    pub(super) fn place(&self) -> Option<String> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was used since it was refilled with `instructions`.
    pub(super) fn used_of(&self, instructions: u64) -> u64 {
        let given = i64::try_from(instructions).unwrap_or(i64::MAX);
        u64::try_from(given.saturating_sub(self.left.load(Ordering::Relaxed))).unwrap_or(0)
    }

    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.left.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Takes `instructions` off. Whether the script is to be stopped: it has nothing left, or something ran out before.
    pub(super) fn charge(&self, lua: &Lua, instructions: u64) -> bool {
        let taken = i64::try_from(instructions).unwrap_or(i64::MAX);
        let left = self.left.load(Ordering::Relaxed).saturating_sub(taken);
        self.left.store(left, Ordering::Relaxed);
        if left < 0 {
            self.run_out(lua, Limit::Instructions);
        }
        self.ran_out().is_some()
    }

    pub(super) fn run_out(&self, lua: &Lua, limit: Limit) {
        if self.ran_out().is_none() {
            self.ran_out.store(if limit == Limit::Instructions { 1 } else { 2 }, Ordering::Relaxed);
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place::of_caller(lua);
        }
    }

    /// Stops the coroutine that runs, by a yield that nobody resumes. One that is found running again could not yield;
    /// it gets an error.
    fn stop(&self, lua: &Lua) -> mlua::Result<VmState> {
        let running = lua.current_thread().to_pointer().addr();
        if self.told.swap(running, Ordering::Relaxed) == running {
            return Err(mlua::Error::external(Stopped));
        }
        Ok(VmState::Yield)
    }
}

/// Has Lua count instructions on all its coroutines, and bounds its memory.
///
/// Copying long strings takes time and no instructions, but leaves garbage: so each collection is charged for, by what
/// it went through.
pub(super) fn enforce(lua: &Lua, budget: Arc<Budget>) -> mlua::Result<()> {
    let sentinel = lua.create_table()?;
    let meta = lua.create_table()?;
    meta.raw_set("__mode", "v")?;
    sentinel.set_metatable(Some(meta))?;
    let triggers = HookTriggers::new().every_nth_instruction(STRIDE);
    lua.set_global_hook(triggers, move |lua, _| {
        let mut is_over = budget.charge(lua, u64::from(STRIDE));
        let collected = collected_bytes(lua, &sentinel)?;
        if collected > COLLECTED_FREE_BYTES {
            is_over = budget.charge(lua, u64::try_from(collected / BYTES_PER_INSTRUCTION).unwrap_or(u64::MAX));
        }
        if is_over { budget.stop(lua) } else { Ok(VmState::Continue) }
    })?;
    lua.set_memory_limit(SCRIPT_MEMORY_BYTES_MAX)?;
    Ok(())
}

/// How much memory is in use if garbage was collected since the last time; else nothing.
fn collected_bytes(lua: &Lua, sentinel: &Table) -> mlua::Result<usize> {
    if sentinel.raw_get::<Value>(1)? != Value::Nil {
        return Ok(0);
    }
    sentinel.raw_set(1, lua.create_table()?)?;
    Ok(lua.used_memory())
}
