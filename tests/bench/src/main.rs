//! Loads a gateway over HTTP/1.1 and stands behind it as its upstream.
//!
//!     clampd-bench upstream ADDRESS
//!     clampd-bench load ADDRESS REQUEST_FILE CONNECTIONS SECONDS RATE
//!
//! `load` sends the bytes of the file over and over and prints one JSON object. With RATE 0 every
//! connection sends again as soon as it has its answer; else requests are due at fixed moments and
//! latency counts from the moment a request was due, so that a stall is not hidden by waiting.
//! What to compare and how often is left to `bench.py`.

mod http;
mod load;
mod upstream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["upstream", address] => upstream::serve(address),
        ["load", address, file, connections, seconds, rate] => {
            load::Plan::read(address, file, connections, seconds, rate).and_then(|plan| {
                println!("{}", load::run(&plan)?);
                Ok(())
            })
        }
        _ => Err("usage: upstream ADDRESS | load ADDRESS FILE CONNECTIONS SECONDS RATE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clampd-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
