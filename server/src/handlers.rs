//! One file for each method of the protocol. Handlers are plain functions on the state: they never wait, and none
//! is asynchronous, so messages take effect in the order in which they are read.

pub(crate) mod completion;
pub(crate) mod did_change;
pub(crate) mod did_change_configuration;
pub(crate) mod did_close;
pub(crate) mod did_open;
pub(crate) mod did_partially_accept_completion;
pub(crate) mod did_save;
pub(crate) mod did_show_completion;
pub(crate) mod execute_command;
pub(crate) mod initialize;
pub(crate) mod initialized;
pub(crate) mod inline_completion;
