//! Where the programs are on this machine.
//!
//! The build script alone knows how a built program's file name is made; it is asked rather than
//! imitated.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::{Error, Program, Result, ledger};

const BUILD_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../servers/build");

/// Which programs are on this machine, and for each other one why it is not.
///
/// A program is taken from the file that its [variable](Program::variable) names, else from what
/// `dev/servers/build` built, else from `PATH`. A variable that names something else than a
/// program is an error, not a reason to look further: the person who set it meant that file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    found: BTreeMap<Program, Result<PathBuf, String>>,
}

/// What the search reads; a test writes its own.
#[derive(Debug)]
struct Surroundings {
    variables: BTreeMap<&'static str, OsString>,
    built: Result<BTreeMap<String, PathBuf>, String>,
    path: Vec<PathBuf>,
}

// ---- Programs ----

impl Programs {
    /// Looks once; every later call in this process gets the same answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use consul_sync_testbed::{Program, Programs};
    ///
    /// match Programs::locate().path(Program::Etcd) {
    ///     Ok(path) => println!("{}", path.display()),
    ///     Err(missing) => println!("{missing}"), // says how to get it
    /// }
    /// ```
    pub fn locate() -> &'static Self {
        static LOCATED: OnceLock<Programs> = OnceLock::new();
        LOCATED.get_or_init(|| Self::search(&Surroundings::of_this_process()))
    }

    /// The file of `program`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] says where it was looked for and how to get it.
    pub fn path(&self, program: Program) -> Result<&Path> {
        match &self.found[&program] {
            Ok(path) => Ok(path),
            Err(reason) => Err(Error::Missing {
                program,
                reason: reason.clone(),
            }),
        }
    }

    /// Whether all of `programs` are there; if not, says so on standard error and in the
    /// [ledger](crate::ledger) and the test should return.
    ///
    /// A skipped test is never silent: `make test` lists it, and fails where the programs could
    /// have been built.
    pub fn all_or_skip(&self, programs: &[Program]) -> bool {
        let missing = programs
            .iter()
            .find_map(|program| self.path(*program).err());
        if let Some(error) = &missing {
            ledger::skip(&error.to_string());
        }
        missing.is_none()
    }

    fn search(surroundings: &Surroundings) -> Self {
        let found = Program::ALL.map(|program| (program, surroundings.find(program)));
        Self {
            found: found.into(),
        }
    }
}

// ---- Surroundings ----

impl Surroundings {
    fn of_this_process() -> Self {
        Self {
            variables: Program::ALL
                .iter()
                .filter_map(|program| Some((program.variable(), env::var_os(program.variable())?)))
                .collect(),
            built: built(),
            path: env::var_os("PATH")
                .map(|path| env::split_paths(&path).collect())
                .unwrap_or_default(),
        }
    }

    fn find(&self, program: Program) -> Result<PathBuf, String> {
        if let Some(file) = self.variables.get(program.variable()) {
            let file = PathBuf::from(file);
            if is_program(&file) {
                return Ok(file);
            }
            return Err(format!(
                "{} is set to {}, which is not a program that can be run",
                program.variable(),
                file.display()
            ));
        }
        let not_built = match &self.built {
            Ok(built) => match built.get(program.server()) {
                Some(file) => return Ok(file.clone()),
                None => "not built (run `make servers`)".to_owned(),
            },
            Err(reason) => format!("not built ({reason})"),
        };
        match self.find_on_path(program) {
            Ok(file) => Ok(file),
            Err(reason) => Err(format!(
                "{not_built}, {reason}, and {} is not set",
                program.variable()
            )),
        }
    }

    fn find_on_path(&self, program: Program) -> Result<PathBuf, String> {
        let name = program.file_name();
        let file = self
            .path
            .iter()
            .map(|folder| folder.join(name))
            .find(|file| is_program(file))
            .ok_or_else(|| format!("no {name} on PATH"))?;
        let Program::Consul(version) = program else {
            return Ok(file);
        };
        // Tests name the version whose behaviour they prove, so another one does not do.
        match version_line(&file) {
            Some(line) if line.contains(&format!(" v{version}.")) => Ok(file),
            Some(line) => Err(format!("{} is {line}", file.display())),
            None => Err(format!("{} does not tell its version", file.display())),
        }
    }
}

fn built() -> Result<BTreeMap<String, PathBuf>, String> {
    let output = Command::new(BUILD_SCRIPT)
        .arg("--list")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{BUILD_SCRIPT} cannot be run: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{BUILD_SCRIPT} --list failed: {}",
            message.trim_end()
        ));
    }
    Ok(parse_list(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_list(list: &str) -> BTreeMap<String, PathBuf> {
    list.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(server, path)| (server.to_owned(), PathBuf::from(path)))
        .collect()
}

fn version_line(consul: &Path) -> Option<String> {
    let output = Command::new(consul)
        .arg("version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(|line| line.trim_end().to_owned())
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ConsulVersion;

    impl Default for Surroundings {
        fn default() -> Self {
            Self {
                variables: BTreeMap::new(),
                built: Ok(BTreeMap::new()),
                path: vec![],
            }
        }
    }

    fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn reason(programs: &Programs, program: Program) -> String {
        programs.path(program).unwrap_err().to_string()
    }

    #[test]
    fn a_variable_wins_over_a_built_program_and_over_path() {
        let folder = tempfile::tempdir().unwrap();
        let named = script(folder.path(), "mine", "");
        script(folder.path(), "etcd", "");
        let surroundings = Surroundings {
            variables: [("CONSUL_SYNC_ETCD", named.clone().into_os_string())].into(),
            built: Ok([("etcd".to_owned(), PathBuf::from("/built/etcd"))].into()),
            path: vec![folder.path().to_owned()],
        };
        assert_eq!(
            Programs::search(&surroundings).path(Program::Etcd).unwrap(),
            named
        );
    }

    #[test]
    fn a_variable_that_names_no_program_is_an_error_even_when_one_was_built() {
        let surroundings = Surroundings {
            variables: [("CONSUL_SYNC_ETCD", "/nowhere/etcd".into())].into(),
            built: Ok([("etcd".to_owned(), PathBuf::from("/built/etcd"))].into()),
            path: vec![],
        };
        assert_eq!(
            reason(&Programs::search(&surroundings), Program::Etcd),
            "etcd is not available: CONSUL_SYNC_ETCD is set to /nowhere/etcd, which is not a program that can be run"
        );
    }

    #[test]
    fn a_built_program_wins_over_path() {
        let folder = tempfile::tempdir().unwrap();
        script(folder.path(), "etcd", "");
        let surroundings = Surroundings {
            built: Ok(parse_list(
                "etcd\t/built/etcd\nconsul-1.22\t/built/consul\n",
            )),
            path: vec![folder.path().to_owned()],
            ..Surroundings::default()
        };
        assert_eq!(
            Programs::search(&surroundings).path(Program::Etcd).unwrap(),
            Path::new("/built/etcd")
        );
    }

    #[test]
    fn consul_on_path_counts_only_for_its_own_version() {
        let folder = tempfile::tempdir().unwrap();
        let consul = script(folder.path(), "consul", "#!/bin/sh\necho Consul v1.21.7\n");
        let surroundings = Surroundings {
            path: vec![folder.path().to_owned()],
            ..Surroundings::default()
        };
        let programs = Programs::search(&surroundings);
        assert_eq!(
            programs
                .path(Program::Consul(ConsulVersion::V1_21))
                .unwrap(),
            consul
        );
        let other = reason(&programs, Program::Consul(ConsulVersion::V1_22));
        assert!(other.contains("consul is Consul v1.21.7"), "{other}");
    }

    #[test]
    fn a_missing_program_says_where_it_was_looked_for_and_how_to_get_it() {
        let programs = Programs::search(&Surroundings::default());
        assert_eq!(
            reason(&programs, Program::KubeApiserver),
            "kube-apiserver is not available: not built (run `make servers`), no kube-apiserver on PATH, \
             and CONSUL_SYNC_KUBE_APISERVER is not set"
        );
    }

    #[test]
    fn a_build_script_that_fails_is_part_of_the_reason() {
        let surroundings = Surroundings {
            built: Err("no bash".to_owned()),
            ..Surroundings::default()
        };
        let reason = reason(&Programs::search(&surroundings), Program::Etcd);
        assert!(
            reason.contains("not built (no bash), no etcd on PATH"),
            "{reason}"
        );
    }
}
