//! Rows of JSON in, a CSV file out: a script chooses the content type of its answer.

use csv::Writer;
use serde_json::{Map, Value};
use wasmill_guest::{Reply, ScriptError, reply};

/// Makes a CSV file of rows.
#[wasmill_guest::main]
fn main(
    /// The rows, each an object. The columns are their keys, in the order in which they first
    /// occur.
    rows: Vec<Map<String, Value>>,
    /// The name under which a browser saves the file.
    file_name: Option<String>,
) -> Result<Reply, ScriptError> {
    let columns = columns(&rows);
    println!("{} rows of {} columns", rows.len(), columns.len());
    let text =
        table(&columns, &rows).map_err(|error| ScriptError::new("CsvError", error.to_string()))?;

    let mut answer = reply(200).content_type("text/csv; charset=utf-8").body(text);
    if let Some(name) = file_name {
        answer = answer.header("content-disposition", attachment(&name)?);
    }
    Ok(answer)
}

/// All keys of all rows, each once.
fn columns(rows: &[Map<String, Value>]) -> Vec<&str> {
    let mut columns: Vec<&str> = Vec::new();
    for key in rows.iter().flat_map(Map::keys) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    columns
}

fn table(
    columns: &[&str],
    rows: &[Map<String, Value>],
) -> Result<String, Box<dyn std::error::Error>> {
    // Without a column there is no line to write: the writer would make a quoted empty field of it.
    if columns.is_empty() {
        return Ok(String::new());
    }
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(columns.iter().map(|column| cell(row.get(*column))))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// A value as text: strings without quotes, nothing for null, JSON for the rest.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The header that makes a browser save the answer.
fn attachment(name: &str) -> Result<String, ScriptError> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_. ".contains(character);
    if name.is_empty() || !name.chars().all(plain) {
        let reason = "file_name may have letters, digits, spaces and `-`, `_`, `.`";
        return Err(ScriptError::new("InvalidArguments", reason));
    }
    Ok(format!("attachment; filename=\"{name}\""))
}
