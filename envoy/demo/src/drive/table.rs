//! Aligned text tables.

/// Rows under a heading, columns as wide as their widest cell, two spaces apart, indented by two.
pub(super) fn aligned<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend_from_slice(rows);

    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }

    lines
        .iter()
        .map(|line| format!("  {}\n", padded(line, &widths).trim_end()))
        .collect()
}

fn padded(line: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = line
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    cells.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["long cell".to_owned(), "x".to_owned()],
            ["é".to_owned(), String::new()],
        ];
        assert_eq!(
            aligned(["a", "b"], &rows),
            "  a          b\n  long cell  x\n  é\n"
        );
    }
}
