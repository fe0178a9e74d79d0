//! What standard output is, and writing to it.

use std::io::{self, IsTerminal, Write};

/// How much standard output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// A pipe or a file: text alone.
    Plain,
    /// A terminal whose user wants no colour: bold, dim and italic remain.
    Shapes,
    /// A terminal.
    Colour,
}

/// What to draw with on standard output, from the terminal, NO_COLOR, CLICOLOR_FORCE and TERM.
pub(crate) fn ink() -> Ink {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_none_or(|v| v != "0");
    let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    choose(io::stdout().is_terminal(), set("NO_COLOR"), forced, dumb)
}

fn choose(terminal: bool, no_colour: bool, forced: bool, dumb: bool) -> Ink {
    match (terminal && !dumb, no_colour, forced) {
        (true, true, _) => Ink::Shapes,
        (true, false, _) | (false, false, true) => Ink::Colour,
        (false, ..) => Ink::Plain,
    }
}

/// Whether frames can be drawn over each other on standard output.
pub(crate) fn can_redraw() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|v| v != "dumb")
}

/// Lines of the terminal on standard output; 24 when there is none.
pub(crate) fn height() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(24, |(_, height)| usize::from(height.0).max(2))
}

/// Writes an answer to standard output.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_keeps_shapes_and_pipes_stay_plain() {
        assert_eq!(choose(true, false, false, false), Ink::Colour);
        assert_eq!(choose(true, true, true, false), Ink::Shapes);
        assert_eq!(choose(true, false, false, true), Ink::Plain);
        assert_eq!(choose(false, false, false, false), Ink::Plain);
        assert_eq!(choose(false, false, true, false), Ink::Colour);
        assert_eq!(choose(false, true, true, false), Ink::Plain);
    }
}
