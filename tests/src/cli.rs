//! The command line as a person or a script uses it.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A command that is not run yet.
pub struct Cli {
    command: Command,
    input: Option<File>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Printed {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Cli {
    pub(crate) fn new(command: Command) -> Self {
        Self { command, input: None }
    }

    /// With a further argument.
    pub fn arg(mut self, arg: impl AsRef<Path>) -> Self {
        self.command.arg(arg.as_ref());
        self
    }

    /// With a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    /// With something to read from standard input.
    pub fn input(mut self, text: &str) -> Self {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(text.as_bytes()).and_then(|()| file.rewind()).expect("it is written");
        self.input = Some(file);
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Printed {
        let input = self.input.take().map_or_else(Stdio::null, Stdio::from);
        self.command.stdin(input).output().expect("the command can be started").into()
    }

    /// Runs it, and panics unless it ends with 0.
    pub fn ok(self) -> String {
        let printed = self.run();
        assert_eq!(printed.code, 0, "it failed\n{}\n{}", printed.out, printed.err);
        printed.out
    }

    /// Starts it with its output in a pipe.
    pub fn start(mut self) -> Child {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command can be started")
    }
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}
