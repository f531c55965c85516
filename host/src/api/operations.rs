//! The management routes as one table: address, right, name. What is not in it cannot be asked for;
//! what is in it is found, guarded and described by its row. Each resource has its rows in a folder
//! of its own.

use super::row::{Names, Prepared, Row, room};
use super::{accounts, jobs, public, scripts, values, workspaces};
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use wasmill_core::{Problem, WorkspaceId};

/// The rows of each resource, in the order in which the API's description has them.
static TABLE: [&[Row]; 6] =
    [public::ROWS, accounts::ROWS, workspaces::ROWS, scripts::ROWS, values::ROWS, jobs::ROWS];

/// Every operation.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().copied().flatten()
}

/// A row that a request has found.
pub(crate) struct Matched {
    /// The row.
    pub(crate) row: &'static Row,
    /// The row's handler, with the names from the address.
    pub(super) handler: Prepared,
    /// The workspace in the address.
    pub(crate) workspace: Option<WorkspaceId>,
    /// The `{path}` in the address.
    pub(crate) path: Option<String>,
}

impl fmt::Debug for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matched")
            .field("row", &self.row.name)
            .field("workspace", &self.workspace)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The rows by their room.
static BY_ROOM: LazyLock<HashMap<&str, Vec<(&'static Row, &'static str)>>> = LazyLock::new(|| {
    let mut rooms: HashMap<&str, Vec<_>> = HashMap::new();
    for row in rows() {
        for address in row.addresses {
            rooms.entry(room(address)).or_default().push((row, *address));
        }
    }
    rooms
});

/// Finds the row of an address below `/api/`, already decoded. `Ok(None)` when there is none.
///
/// # Errors
/// 404 for a malformed name in the address. The methods that the address has, when this one is not
/// among them.
pub(crate) fn find(method: &str, address: &str) -> Result<Option<Matched>, Refused> {
    let mut methods: Vec<&str> = Vec::new();
    for (row, template) in BY_ROOM.get(room(address)).into_iter().flatten() {
        let Some(names) = matching(template, address) else { continue };
        if row.method == method || (row.method == "GET" && method == "HEAD") {
            let handler = (row.handler.prepare)(&names).map_err(Refused::Name)?;
            let workspace = names.get("workspace").and_then(|workspace| workspace.parse().ok());
            let path = names.get("path").map(str::to_owned);
            return Ok(Some(Matched { row, handler, workspace, path }));
        }
        methods.push(row.method);
    }
    if methods.is_empty() { Ok(None) } else { Err(Refused::Method(methods)) }
}

/// The methods that an address below `/api/` has.
pub(crate) fn methods(address: &str) -> Vec<&'static str> {
    let rows = BY_ROOM.get(room(address)).into_iter().flatten();
    rows.filter(|(_, template)| matching(template, address).is_some())
        .map(|(row, _)| row.method)
        .collect()
}

/// Why an address that exists cannot be answered.
pub(crate) enum Refused {
    /// A name in the address is malformed.
    Name(Problem),
    /// The address has these methods only.
    Method(Vec<&'static str>),
}

fn matching<'a>(template: &'static str, address: &'a str) -> Option<Names<'a>> {
    let mut values = Vec::new();
    let mut rest = Some(address);
    for word in template.split('/') {
        let here = rest?;
        let name = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
        if name == Some("path") {
            values.push(("path", here));
            rest = None;
            continue;
        }
        let (segment, behind) = match here.split_once('/') {
            Some((segment, behind)) => (segment, Some(behind)),
            None => (here, None),
        };
        match name {
            Some(name) if !segment.is_empty() => values.push((name, segment)),
            None if same(word, segment) => {}
            _ => return None,
        }
        rest = behind;
    }
    rest.is_none().then_some(Names(values))
}

/// Older hosts kept what anybody may ask for (`jobs_u`) apart from the rest; here the two words
/// mean the same.
fn same(word: &str, segment: &str) -> bool {
    let jobs = |word| matches!(word, "jobs" | "jobs_u");
    word == segment || (jobs(word) && jobs(segment))
}

#[cfg(test)]
mod tests {
    use super::super::row::Right;
    use super::*;

    /// An address of a row with something that fits in place of each name.
    fn example(template: &str) -> String {
        template
            .replace("{workspace}", "main")
            .replace("{path}", "u/ann/some/script")
            .replace("{hash}", &"ab".repeat(32))
            .replace("{id}", "01937f4e-0000-7000-8000-000000000000")
            .replace("{at}", "1767225600000")
            .replace("{prefix}", "wml_abcdef")
            .replace("{username}", "ann")
            .replace("{slug}", "not-found")
            .replace("{delivery}", "7")
    }

    #[test]
    fn every_row_is_found_by_each_of_its_addresses() {
        for row in rows() {
            for template in row.addresses {
                let address = example(template);
                assert!(!address.contains('{'), "{address}: give the example a value");
                let found = find(row.method, &address)
                    .ok()
                    .flatten()
                    .unwrap_or_else(|| panic!("{} {address} is not found", row.method));
                assert_eq!(found.row.name, row.name, "{address}");
                assert_eq!(
                    found.workspace.is_some(),
                    template.contains("{workspace}"),
                    "{address}"
                );
                assert_eq!(found.path.is_some(), template.contains("{path}"), "{address}");
            }
        }
    }

    #[test]
    fn rows_that_are_guarded_by_their_address_have_what_the_guard_needs() {
        for row in rows() {
            let in_workspace =
                row.addresses.iter().all(|address| address.starts_with("w/{workspace}/"));
            match row.right {
                Right::Path(..) => {
                    assert!(
                        in_workspace
                            && row.addresses.iter().all(|address| address.ends_with("/{path}")),
                        "{}",
                        row.name
                    )
                }
                Right::Member | Right::Admin(..) | Right::Found(..) => {
                    assert!(in_workspace, "{}", row.name)
                }
                Right::Open | Right::Known => assert!(!in_workspace, "{}", row.name),
                Right::All(..) | Right::Super(..) => {}
            }
        }
    }

    #[test]
    fn rows_without_a_token_and_no_others_have_handlers_that_need_none() {
        for row in rows() {
            let address = example(row.addresses[0]);
            let found = find(row.method, &address).ok().flatten().expect("a row");
            let anonymous = matches!(found.handler, Prepared::Anonymous(_));
            assert_eq!(anonymous, row.right == Right::Open, "{}", row.name);
        }
    }

    #[test]
    fn methods() {
        assert!(
            matches!(find("POST", "version"), Err(Refused::Method(methods)) if methods == ["GET"])
        );
        assert!(find("HEAD", "version").ok().flatten().is_some());
        assert!(matches!(find("GET", "nothing"), Ok(None)));
        assert!(matches!(find("GET", "w/main/jobs_u/get/x/y"), Ok(None)));
        assert!(matches!(find("GET", "w//jobs/list"), Ok(None)));
        assert!(matches!(find("GET", "w/main/jobs_u/get/not-an-id"), Err(Refused::Name(_))));
    }
}
