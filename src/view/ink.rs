//! Colour. Owns which tone is which colour; a tone only ever repeats what the words say already.

use anstyle::{AnsiColor, Style};

/// Whether colour may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Colour,
}

/// What a piece of text is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Normal,
    Strong,
    Faint,
    Good,
    Caution,
    Bad,
}

impl Ink {
    /// `text` in the colour of `tone`, or as it is.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let style = tone.style();
        if self == Self::Plain || style.is_plain() || text.is_empty() {
            return text.into();
        }
        format!("{}{text}{}", style.render(), style.render_reset())
    }
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Normal => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Self::Caution => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Self::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_ink_leaves_text_alone() {
        assert_eq!(Ink::Plain.paint(Tone::Bad, "gone"), "gone");
        assert_eq!(Ink::Colour.paint(Tone::Normal, "here"), "here");
        assert_eq!(Ink::Colour.paint(Tone::Bad, "gone"), "\u{1b}[31mgone\u{1b}[0m");
    }
}
