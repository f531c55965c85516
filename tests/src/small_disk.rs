//! A disk of a few megabytes that is mounted for one test.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// It is unmounted when this value is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB where a folder is to be. `None` where mounting is not permitted.
    pub fn mounted(folder: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("the folder can be made");
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "tmpfs"])
            .arg(folder)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file");
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            // Smaller and smaller pieces: what is left of the last one is left over by it.
            if filler.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("the file is there");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while a host that failed still has files open on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
