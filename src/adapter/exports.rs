//! The exports of the proxy-wasm ABI 0.2.1, which the host calls.
//!
//! An exported callback is called for every stream, that of a body for every chunk. Each call costs
//! some tenths of a microsecond, even without work. So only required callbacks are exported: none
//! for request bodies or for the deletion of contexts. `tools/lean` leaves out those of the response's
//! headers and body, too.

#![expect(
    unsafe_code,
    reason = "an export is unsafe, since its name could be another's"
)]

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

use super::abi::{Action, LogLevel};
use super::contexts::{self, with_root, with_stream};
use super::imports;

unsafe extern "C" {
    /// Of wasi-libc: runs the constructors of static data.
    fn __wasm_call_ctors();
}

/// Declares the ABI version.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls it once, before anything else.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|panic| {
        imports::log(LogLevel::Critical, &panic.to_string())
    }));
}

/// Allocates a buffer for data from the host; the receiver frees it as a boxed slice.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let Ok(layout) = Layout::array::<u8>(size) else {
        return null_mut();
    };
    if size == 0 {
        return NonNull::dangling().as_ptr();
    }

    // SAFETY: the layout is not empty.
    let buffer = unsafe { alloc(layout) };
    if buffer.is_null() {
        handle_alloc_error(layout);
    }
    buffer
}

/// `root` is 0 for a root context.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    contexts::create(context, root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, size: usize) -> bool {
    with_root(context, |root| root.on_configure(size)).unwrap_or(false)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    with_root(context, |root| root.on_tick());
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(context: u32, queue: u32) {
    with_root(context, |root| root.on_queue_ready(queue));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    context: u32,
    token: u32,
    headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    with_root(context, |root| {
        root.on_http_call_response(token, headers, body_size)
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(
    context: u32,
    _headers: usize,
    _end_of_stream: bool,
) -> Action {
    with_stream(context, |stream| stream.on_request_headers()).unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _trailers: usize) -> Action {
    with_stream(context, |stream| stream.on_request_trailers());
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(
    context: u32,
    _headers: usize,
    end_of_stream: bool,
) -> Action {
    with_stream(context, |stream| stream.on_response_headers(end_of_stream));
    Action::Continue
}

/// Never pauses: each call sees one chunk, which goes on to the client at once.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(
    context: u32,
    body_size: usize,
    end_of_stream: bool,
) -> Action {
    with_stream(context, |stream| {
        stream.on_response_body(body_size, end_of_stream)
    });
    Action::Continue
}

/// Called only for a response with trailers: nearly every gRPC response, and hardly any other.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, _trailers: usize) -> Action {
    with_stream(context, |stream| stream.on_response_trailers());
    Action::Continue
}

/// Called once per stream, also for one that ended before the filter saw it.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    with_stream(context, |stream| stream.on_log());
}

/// The last call of a stream, and of a root context that returns true.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> bool {
    contexts::done(context)
}
