//! Envoy's callbacks in, the guard's actions out. No decision is made here.
//!
//! One VM runs per Envoy worker (and one on the main thread). What they share, the bundle in force
//! and the lease of the one that polls for it, stands in Envoy's shared data ([`shared`]). A panic
//! would stop a VM for every request of its worker, so nothing here may panic: headers and bodies
//! are read as bytes, and every host call's failure has an answer ([`host`]).

mod answer;
mod audit;
mod exchange;
mod host;
mod metrics;
mod poller;
mod root;
mod shared;
mod worker;

use root::Root;

mod entry {
    use super::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(Root::default()));
    }}
}
