//! Tables on a terminal: columns as wide as their widest cell.

/// Prints rows under a heading, two spaces between columns.
pub(crate) fn print<const N: usize>(heading: [&str; N], rows: &[[String; N]]) {
    let mut widths = heading.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(heading);
    for row in rows {
        line(std::array::from_fn(|index| row.get(index).map_or("", String::as_str)));
    }
}
