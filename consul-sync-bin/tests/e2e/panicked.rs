//! A panic ends the program: one that lost a task does not go on half alive.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output},
};

#[test]
fn fault_p12_what_is_shipped_ends_at_a_panic_in_any_task() {
    // A task that panicked would leave the others running, half alive; tests themselves are built to unwind.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let text = fs::read_to_string(workspace).unwrap();
    let profile = |name: &str| -> Vec<String> {
        let from = text.split(&format!("[profile.{name}]\n")).nth(1).unwrap();
        let lines = from.lines().take_while(|line| !line.starts_with('['));
        lines.map(str::to_owned).collect()
    };
    assert!(profile("release").contains(&"panic = \"abort\"".to_owned()));
    let dist = profile("dist");
    assert!(dist.contains(&"inherits = \"release\"".to_owned()));
    assert!(
        !dist.iter().any(|line| line.starts_with("panic")),
        "{dist:?}"
    );
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/image/Dockerfile");
    let image = fs::read_to_string(dockerfile).unwrap();
    assert!(image.contains("--profile dist"), "{image}");
}

/// Runs the program where no thread is to be had. Root has no such limit, so it is somebody else who runs it.
fn without_threads(listen: &str) -> Output {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), open.clone()).unwrap();
    let program = folder.path().join("consul-sync");
    fs::copy(env!("CARGO_BIN_EXE_consul-sync"), &program).unwrap();
    fs::set_permissions(&program, open).unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = r#"{"current-context": "t", "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        "clusters": [{"name": "t", "cluster": {"server": "http://kubernetes.invalid"}}],
        "users": [{"name": "t", "user": {"token": "t"}}]}"#;
    fs::write(&kubeconfig, text).unwrap();
    let mut command = Command::new("timeout");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY);
    }
    command
        .args(["60", "prlimit", "--nproc=1:1"])
        .arg(&program)
        .args([
            "run",
            "--owner=a",
            "--consul-addr=http://consul.invalid:8500",
        ])
        .args(["--listen", listen, "--kubeconfig"])
        .arg(&kubeconfig)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap()
}

#[test]
fn fault_p12_a_panic_in_the_middle_of_the_work_ends_the_program() {
    // The runtime panics when a name is looked up: a real panic, which nothing in the program is there for.
    let ended = without_threads("off");
    let told = String::from_utf8_lossy(&ended.stderr);
    for part in ["synchronising", "panicked", "OS can't spawn"] {
        assert!(told.contains(part), "{told}");
    }
    // Tests are built to unwind, and this is Rust's own code for a panic that nobody caught.
    assert_eq!(ended.status.code(), Some(101), "{told}");
}

#[test]
fn without_a_thread_for_the_admin_server_that_is_said() {
    let ended = without_threads("127.0.0.1:0");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(told.contains("error: --listen 127.0.0.1:"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    assert_eq!(ended.status.code(), Some(1), "{told}");
}
