//! Panics of the engine: caught, counted and told, and the engine goes on.

use std::any::Any;
use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<(u64, String)>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// From now on a panic in an engine thread is kept for `take` instead of being printed: a peer that could provoke one
/// must not fill the log. Panics of other threads go where they went before.
pub(crate) fn install_hook() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_ours = std::thread::current().name().is_some_and(|name| name.starts_with(THREAD_NAME));
            if is_ours {
                LAST.with(|last| {
                    let mut last = last.borrow_mut();
                    let count = last.as_ref().map_or(0, |(count, _)| *count);
                    *last = Some((count.saturating_add(1), info.to_string()));
                });
            } else {
                before(info);
            }
        }));
    });
}

/// Names of the threads whose panics are kept begin with it.
pub(crate) const THREAD_NAME: &str = "ting-engine";

/// How many panics this thread had since the last call, and what the last of them said, with its place.
pub(crate) fn take() -> Option<(u64, String)> {
    LAST.with(|last| last.borrow_mut().take())
}

/// The words of a caught panic.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    words.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic").to_owned()
}
