//! Writes the JavaScript around a Worker, in place of `wasm-bindgen`, whose command line takes longer to
//! build: `bindgen FILE.wasm FOLDER`.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(wasm), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bindgen FILE.wasm FOLDER".into());
    };
    Bindgen::new()
        .input_path(wasm)
        .web(true)?
        .typescript(false)
        .out_name("index")
        .generate(folder)?;
    Ok(())
}
