//! The migrations of a store, and the databases that earlier ones have made.
//!
//! A package keeps the migrations in `migrations`, as `0001_NAME.sql` and so on, and in `tests/store/fixtures` for each version
//! but perhaps the newest what makes a database of it, as `v1.sql` and so on.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

const MIGRATIONS: &str = "migrations";
const FIXTURES: &str = "tests/store/fixtures";

/// The SQL files in a folder of a package, by the number in their name.
fn numbered(package: &str, folder: &str) -> BTreeMap<i32, PathBuf> {
    let files = fs::read_dir(Path::new(package).join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".sql")?;
        name.trim_start_matches('v').split('_').next()?.parse().ok()
    };
    files.filter_map(|path| Some((number(&path)?, path))).collect()
}

/// What makes a database of an earlier version, by version.
pub fn fixtures(package: &str) -> BTreeMap<i32, PathBuf> {
    numbered(package, FIXTURES)
}

/// The newest version.
pub fn newest(package: &str) -> i32 {
    *numbered(package, MIGRATIONS).last_key_value().unwrap().0
}

/// Keeps what makes a database of the newest version.
pub fn write_fixture(package: &str, statements: &str) {
    fs::write(Path::new(package).join(FIXTURES).join(format!("v{}.sql", newest(package))), statements).unwrap();
}

/// Checks that a released migration was not edited: `migrations/released.sha256` is what `sha256sum *.sql` says of those that must
/// not change any more. That is all but the newest, and of each of their versions there is a database.
pub fn assert_released_migrations_are_kept(package: &str) {
    let folder = Path::new(package).join(MIGRATIONS);
    let released = fs::read_to_string(folder.join("released.sha256")).unwrap();
    let pinned: BTreeMap<&str, &str> =
        released.lines().map(|line| line.split_once("  ").unwrap()).map(|(sum, name)| (name, sum)).collect();
    let (newest, fixtures) = (newest(package), fixtures(package));
    for (version, path) in numbered(package, MIGRATIONS) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut is = String::new();
        for byte in Sha256::digest(fs::read(&path).unwrap()) {
            write!(is, "{byte:02x}").unwrap();
        }
        match pinned.get(name) {
            Some(sum) => assert_eq!(is, *sum, "{name} was released: undo the edit, and write another migration"),
            None => assert_eq!(version, newest, "{name} is not the newest any more: add its sum to released.sha256"),
        }
        assert!(
            version == newest || fixtures.contains_key(&version),
            "a database of version {version} is missing: see the top of upgrades.rs"
        );
    }
    assert!(pinned.keys().all(|name| folder.join(name).exists()), "{pinned:?}");
}
