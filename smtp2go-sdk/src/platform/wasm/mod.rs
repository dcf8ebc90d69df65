//! The platform of WebAssembly: a JavaScript runtime, such as Cloudflare Workers.

pub(crate) mod sync;
pub(crate) mod time;
pub(crate) mod transport;

use std::future::Future;

use js_sys::{Function, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::NotRun;

/// Returns a random number, for seeds and tokens. Not for secrets.
///
/// The numbers must differ between the isolates of a Worker. Rust's own seeds are constant on this
/// target: with them, isolates would make equal tokens, and one could release another's claims.
pub(crate) fn random() -> u64 {
    crypto_random().unwrap_or_else(|| {
        // A runtime without Web Crypto.
        [0, 32]
            .map(|shift| ((js_sys::Math::random() * 2f64.powi(32)) as u64) << shift)
            .iter()
            .sum()
    })
}

fn crypto_random() -> Option<u64> {
    let global = js_sys::global();
    let crypto = Reflect::get(&global, &"crypto".into()).ok()?;
    let fill: Function = member(&crypto, "getRandomValues")?;
    let bytes = Uint8Array::new_with_length(8);
    fill.call1(&crypto, &bytes).ok()?;
    let mut random = [0; 8];
    bytes.copy_to(&mut random);
    Some(u64::from_ne_bytes(random))
}

/// Returns a member of an object, if it has the type `T`.
fn member<T: JsCast>(object: &JsValue, name: &str) -> Option<T> {
    Reflect::get(object, &name.into()).ok()?.dyn_into().ok()
}

/// Runs a future in the background. The runtime stops it when it ends the request.
pub(crate) fn run_later(work: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(work);
}

/// Runs work at once: there are no other threads.
#[allow(clippy::unused_async)]
pub(crate) async fn blocking<T>(work: impl FnOnce() -> T) -> Result<T, NotRun> {
    Ok(work())
}
