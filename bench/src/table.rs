//! Text tables: first column to the left, the others to the right.

/// Prints rows under a head.
pub(crate) fn print<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(head);
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
    println!();
}

/// The same in Markdown.
pub(crate) fn markdown<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: [&str; N]| format!("| {} |\n", cells.join(" | "));
    let mut rule = ["---:"; N];
    if let Some(first) = rule.first_mut() {
        *first = "---";
    }
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    [line(head), line(rule)].into_iter().chain(rows).collect()
}
