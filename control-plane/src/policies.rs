//! Texts of policies on their way into force: compiled apart from what serves requests.

use std::{io, sync::Arc, thread};

use clampd_model::Policy;
use clampd_policy_compiler::{BASE_ID, BASE_TEXT, Compiled, Compiler, Refusal};
use tokio::sync::{Semaphore, oneshot};

/// The most policies that an organisation may have, those of all its documents together.
pub(crate) const POLICIES_MAX: usize = 1_000;

/// The longest that an organisation's documents may be together, in bytes: every gateway gets them.
pub(crate) const TEXTS_BYTES_MAX: usize = 1024 * 1024;

/// Texts are trees once they are parsed, and whoever wrote one decides how deep.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// How many texts are compiled at a time; others wait.
const COMPILING_MAX: usize = 2;

/// Compiles texts, and holds what is in force without any.
#[derive(Debug)]
pub(crate) struct Policies {
    compiler: Arc<Compiler>,
    base: Arc<Vec<Policy>>,
    room: Semaphore,
}

/// Why a text was not compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("no thread for a compiler: {0}")]
    Thread(#[from] io::Error),
    #[error("the compiler gave no answer")]
    NoAnswer,
}

impl Policies {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let compiler = Compiler::new()?;
        let base = compiler.compile(BASE_ID, BASE_TEXT)?;
        Ok(Self {
            compiler: Arc::new(compiler),
            base: Arc::new(base.policies),
            room: Semaphore::new(COMPILING_MAX),
        })
    }

    /// The policies of the built-in base.
    pub(crate) fn base(&self) -> &Arc<Vec<Policy>> {
        &self.base
    }

    /// Compiles a text.
    ///
    /// # Errors
    /// When it is refused, or this machine has no room for a thread.
    pub(crate) async fn compile(&self, id: &str, text: String) -> Result<Compiled, CompileError> {
        let _room = self
            .room
            .acquire()
            .await
            .map_err(|_| CompileError::NoAnswer)?;
        let (answer, answered) = oneshot::channel();
        let (compiler, id) = (Arc::clone(&self.compiler), id.to_owned());
        thread::Builder::new()
            .name("policy-compiler".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // Whoever asked may have gone.
                let _ = answer.send(compiler.compile(&id, &text));
            })?;
        let compiled = answered.await.map_err(|_| CompileError::NoAnswer)?;
        Ok(compiled?)
    }
}
