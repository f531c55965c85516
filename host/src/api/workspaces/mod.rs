//! Workspaces: their settings, webhooks, members, and how their jobs are kept and run.

mod document;
mod members;
mod parameters;
mod registry;
mod retention;
mod rows;
mod settings;
mod webhook;
mod weight;

pub(super) use rows::ROWS;
