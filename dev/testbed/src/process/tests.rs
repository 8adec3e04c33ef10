use super::*;

fn shell(folder: &Path, script: &str) -> Process {
    let launch = Launch {
        file: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        log: folder.join("log"),
        remove: None,
    };
    Process::new(Program::Etcd, launch)
}

/// `/proc/ID/stat` has the state after the name in brackets: R, S, T (stopped), Z.
fn state(id: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn dropping_a_process_ends_its_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell(folder.path(), "sleep 600 & echo $!; wait");
    process.start().unwrap();
    let grandchild = loop {
        if let Some(id) = process.tail().strip_prefix("  | ") {
            break id.to_owned();
        }
        std::thread::yield_now();
    };
    let is_gone = |state| matches!(state, None | Some('Z' | 'X'));
    assert!(!is_gone(state(&grandchild)));
    drop(process);
    // Killed is not yet reaped; that is up to its new parent.
    while !is_gone(state(&grandchild)) {
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_process_starts_again_and_its_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell(folder.path(), "echo one line; exit 3");
    for starts in 1..=2 {
        process.start().unwrap();
        while process.exit_status().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(process.exit_status().unwrap().code(), Some(3));
        assert_eq!(process.tail(), vec!["  | one line"; starts].join("\n"));
        process.kill().unwrap();
        assert_eq!(process.id(), None);
    }
}

#[tokio::test]
async fn stop_ends_a_paused_process_by_its_own_signal_handler() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell(
        folder.path(),
        "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done",
    );
    process.start().unwrap();
    while !process.tail().contains("up") {
        std::thread::yield_now();
    }
    process.pause().unwrap();
    process.stop().await.unwrap();
    assert!(process.tail().ends_with("bye"), "{}", process.tail());
}

#[test]
fn a_paused_process_is_stopped_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell(folder.path(), "while :; do :; done");
    process.start().unwrap();
    let id = process.id().unwrap().to_string();
    process.pause().unwrap();
    assert_eq!(state(&id), Some('T'));
    process.resume().unwrap();
    while state(&id) == Some('T') {
        std::thread::yield_now();
    }
}

#[test]
fn signalling_a_process_that_does_not_run_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = shell(folder.path(), "").pause().unwrap_err();
    assert_eq!(error.to_string(), "etcd could not be paused");
}

#[test]
fn a_program_that_cannot_be_run_is_named_with_its_file() {
    let launch = Launch {
        file: "/nowhere/etcd".into(),
        arguments: vec![],
        log: tempfile::tempdir().unwrap().keep().join("log"),
        remove: None,
    };
    let error = Process::new(Program::Etcd, launch).start().unwrap_err();
    assert_eq!(
        error.to_string(),
        "etcd could not be started from /nowhere/etcd"
    );
}

#[test]
fn the_watcher_ends_the_server_and_removes_its_folder_when_its_pipe_closes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut process = shell(folder.path(), "sleep 600");
    process.launch.remove = Some(data.clone());
    process.start().unwrap();
    let mut running = process.lock().take().unwrap();
    // What the kernel does when this process is gone.
    drop(running.watcher.stdin.take());
    running.child.wait().unwrap();
    running.watcher.wait().unwrap();
    assert!(!data.exists());
}

#[test]
fn a_tail_is_the_last_lines() {
    let log: String = (0..100)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join("\n");
    let tail = tail(&log);
    assert_eq!(tail.lines().count(), TAIL_LINES);
    assert!(tail.ends_with("  | 99"));
}
