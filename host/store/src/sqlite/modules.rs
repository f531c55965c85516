//! Which modules are needed, are about to be, or are on their way out.

use super::fault::TxResult;
use crate::Micros;
use crate::common::refusals;
use rusqlite::Connection;
use wasmill_core::Digest;

/// True when a version that is not deleted needs a module.
pub(super) fn in_use(conn: &Connection, module: &Digest) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM version INDEXED BY version_module WHERE module = ?1 AND deleted = 0)";
    conn.prepare_cached(sql)?.query_row([module.0], |row| row.get(0))
}

/// Keeps a module that is about to be deployed, unless it is being collected.
pub(super) fn reserve(
    conn: &Connection,
    module: &Digest,
    now: Micros,
    until: Micros,
) -> TxResult<()> {
    let sql = "INSERT INTO module (digest, reserved) VALUES (?1, ?3) ON CONFLICT (digest) DO UPDATE \
        SET reserved = max(coalesce(reserved, ?3), ?3) WHERE collecting IS NULL OR collecting < ?2";
    match conn.prepare_cached(sql)?.execute((module.0, now, until))? {
        0 => Err(refusals::module_collecting(module).into()),
        _ => Ok(()),
    }
}

/// Marks a module that nobody needs, nobody has reserved and nobody is collecting yet; false when
/// there is such a one.
pub(super) fn collect(
    conn: &Connection,
    module: &Digest,
    now: Micros,
    until: Micros,
) -> rusqlite::Result<bool> {
    if in_use(conn, module)? {
        return Ok(false);
    }
    let sql = "INSERT INTO module (digest, collecting) VALUES (?1, ?3) ON CONFLICT (digest) DO UPDATE \
        SET reserved = NULL, collecting = ?3 WHERE coalesce(reserved < ?2, 1) AND coalesce(collecting < ?2, 1)";
    Ok(conn.prepare_cached(sql)?.execute((module.0, now, until))? > 0)
}

/// Forgets a module that was collected.
pub(super) fn collected(conn: &Connection, module: &Digest) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE module SET collecting = NULL WHERE digest = ?1")?
        .execute([module.0])?;
    let sql = "DELETE FROM module WHERE digest = ?1 AND reserved IS NULL";
    conn.prepare_cached(sql)?.execute([module.0]).map(drop)
}
