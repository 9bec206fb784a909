//! Columns that line up, Chinese ones too, and give way when there is no room.
//!
//! Own code rather than a table crate: cells are cut and coloured, columns leave in an order of ours, and colour
//! must not count as width.

use std::fmt::Write;

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const GAP: usize = 2;
/// The last column keeps this much before others leave for it.
const LAST_MIN: usize = 24;
/// By so much of it a name is still known.
const NAME_MIN: usize = 10;

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub heading: String,
    /// Numbers stand to the right.
    pub right: bool,
    /// When it leaves a table that is too wide, the lowest first; `None` stays.
    pub leaves: Option<u8>,
    /// The most it may take of a table that has a width; of one that is too narrow it takes less.
    pub most: Option<usize>,
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Its text; safe for a terminal.
    pub text: String,
    /// How it looks on a terminal with colour.
    pub style: Style,
}

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// From left to right; the last takes what is left.
    pub columns: Vec<Column>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The lines of the table, each at most `width` columns wide (`None`: as wide as it likes), no blanks at the ends.
    pub fn render(&self, width: Option<usize>, color: bool) -> String {
        let (kept, widths) = self.fit(width);
        let mut out = String::new();
        let heading = Style::new().bold();
        let headings: Vec<Cell> =
            self.columns.iter().map(|column| Cell { text: column.heading.clone(), style: heading }).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut pending = 0;
            for (&index, &width) in kept.iter().zip(&widths) {
                let Some(cell) = row.get(index) else { continue };
                let text = cut(&cell.text, width);
                let blank = width - text.width();
                let before = if self.columns[index].right { blank } else { 0 };
                if !text.is_empty() {
                    write!(out, "{:1$}", "", pending + before).expect("a String takes everything");
                    paint(&mut out, &text, cell.style, color);
                    pending = 0;
                } else {
                    pending += before;
                }
                pending += blank - before + GAP;
            }
            out.push('\n');
        }
        out
    }

    /// Which columns stay, and how wide each is.
    fn fit(&self, width: Option<usize>) -> (Vec<usize>, Vec<usize>) {
        let natural = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.text.width());
            cells.chain([self.columns[index].heading.width()]).max().unwrap_or(0)
        };
        // A column with nothing in it, not even a heading, would only be a wider gap.
        let mut kept: Vec<usize> = (0..self.columns.len()).filter(|&index| natural(index) > 0).collect();
        let mut widths: Vec<usize> = kept.iter().map(|&index| natural(index)).collect();
        let (Some(width), Some(last)) = (width, widths.len().checked_sub(1)) else { return (kept, widths) };
        for (&index, natural) in kept.iter().zip(&mut widths) {
            *natural = (*natural).min(self.columns[index].most.unwrap_or(usize::MAX));
        }
        let last_min = widths[last].min(LAST_MIN);
        let needed =
            |widths: &[usize]| widths.iter().rev().skip(1).map(|width| width + GAP).sum::<usize>() + last_min;
        while needed(&widths) > width {
            let next = kept
                .iter()
                .enumerate()
                .filter_map(|(at, &index)| Some((self.columns[index].leaves?, at)))
                .min();
            let Some((_, at)) = next else { break };
            kept.remove(at);
            widths.remove(at);
        }
        if let Some(last) = widths.len().checked_sub(1) {
            // Where nothing can leave any more, what may be cut at all makes room.
            for at in (0..last).filter(|&at| self.columns[kept[at]].most.is_some()) {
                let over = needed(&widths).saturating_sub(width);
                widths[at] = widths[at].saturating_sub(over).max(widths[at].min(NAME_MIN));
            }
            let others = widths[..last].iter().map(|width| width + GAP).sum::<usize>();
            widths[last] = widths[last].min(width.saturating_sub(others));
        }
        (kept, widths)
    }
}

/// `text` with `style` around it, where colour is wanted.
pub fn paint(out: &mut String, text: &str, style: Style, color: bool) {
    if color && style != Style::new() {
        write!(out, "{style}{text}{style:#}").expect("a String takes everything");
    } else {
        out.push_str(text);
    }
}

/// `text` in at most `width` columns; what is cut off leaves `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| match room.checked_sub(c.width().unwrap_or(0)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if width > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column =
            |heading: &str, right, leaves| Column { heading: heading.into(), right, leaves, most: None };
        let row =
            |cells: [&str; 4]| cells.map(|text| Cell { text: text.into(), style: Style::new() }).to_vec();
        Table {
            columns: vec![
                column("镜像源", false, None),
                column("SPEED", true, Some(2)),
                column("24 H", false, Some(1)),
                column("WHY", false, None),
            ],
            rows: vec![
                row(["a", "5.3 MB/s", "▁▂▃", ""]),
                row(["道客", "12 kB/s", "", "rejected because it is much too slow for anybody"]),
            ],
        }
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let expected = "\
镜像源     SPEED  24 H  WHY
a       5.3 MB/s  ▁▂▃
道客     12 kB/s        rejected because it is much too slow for anybody
";
        assert_eq!(
            table().render(None, true),
            expected
                .replace("镜像源", "\u{1b}[1m镜像源\u{1b}[0m")
                .replace("SPEED", "\u{1b}[1mSPEED\u{1b}[0m")
                .replace("24 H", "\u{1b}[1m24 H\u{1b}[0m")
                .replace("WHY", "\u{1b}[1mWHY\u{1b}[0m")
        );
        assert_eq!(table().render(None, false), expected);
    }

    #[test]
    fn columns_leave_in_their_order_and_the_last_is_cut() {
        for (width, headings) in [
            (60, "镜像源     SPEED  24 H  WHY"),
            (47, "镜像源     SPEED  WHY"),
            (40, "镜像源  WHY"),
            (10, "镜像源  W…"),
        ] {
            let text = table().render(Some(width), false);
            assert_eq!(text.lines().next(), Some(headings), "{width}");
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
        }
    }

    #[test]
    fn a_cut_never_splits_a_wide_character() {
        for (width, shown) in [(6, "道客云"), (5, "道客…"), (4, "道…"), (1, "…"), (0, "")] {
            assert_eq!(cut("道客云", width), shown, "{width}");
        }
    }
}
