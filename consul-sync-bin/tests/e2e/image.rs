//! The image that `dev/image` puts together: the program runs in it, and in the one that the incumbent's chart starts.

use std::{
    path::Path,
    process::{Command, Output},
};

fn assembled(target: &str, folder: &Path) -> std::path::PathBuf {
    let root = folder.join(target);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/image");
    let made = Command::new(script)
        .args(["--target", target])
        .args(["--program", env!("CARGO_BIN_EXE_consul-sync")])
        .arg("--output")
        .arg(folder.join(format!("{target}.oci.tar")))
        .arg("--root")
        .arg(&root)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    root
}

/// Runs a command with nothing but this root filesystem.
fn inside(root: &Path, command: &[&str]) -> Output {
    let mut chroot = if rustix::process::geteuid().is_root() {
        Command::new("chroot")
    } else {
        let mut chroot = Command::new("unshare");
        chroot.args(["--user", "--map-root-user", "chroot"]);
        chroot
    };
    chroot
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/local/bin:/usr/bin:/bin");
    chroot.arg(root).args(command).output().unwrap()
}

#[test]
fn the_program_runs_in_both_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = assembled("consul-sync", folder.path());
    let ran = inside(&root, &["/usr/local/bin/consul-sync", "version"]);
    assert!(ran.status.success(), "{ran:?}");
    assert!(!root.join("bin/sh").exists());
    assert!(root.join("etc/ssl/certs/ca-certificates.crt").exists());

    let root = assembled("drop-in", folder.path());
    let incumbent = "exec consul-k8s-control-plane sync-catalog -h";
    let ran = inside(&root, &["/bin/sh", "-ec", incumbent]);
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(text.contains("-k8s-default-sync"), "{ran:?}");
}
