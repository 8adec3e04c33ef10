//! The command line, the variables and the help.

use clap_complete::Shell;

use super::{
    remarks::{is_injected, unknown_variables},
    *,
};

fn parse_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Command, Refusal> {
    let arguments = std::iter::once("consul-sync")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    parse(arguments, |name| {
        variables
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, text)| text.into())
    })
}

fn run_settings(arguments: &[&str], variables: &[(&str, &str)]) -> Settings {
    let arguments: Vec<&str> = std::iter::once("run")
        .chain(arguments.iter().copied())
        .collect();
    match parse_with(&arguments, variables) {
        Ok(Command::Run(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    parse_with(arguments, variables).unwrap_err().to_string()
}

#[test]
fn the_command_line_is_well_formed() {
    commands::command().debug_assert();
}

#[test]
fn every_default_can_be_read() {
    run_settings(&[], &[]);
}

#[test]
fn every_setting_has_a_help_text_that_ends_in_a_full_stop_and_a_first_line_of_its_own() {
    for row in table::ALL {
        let first = row.help.lines().next().unwrap_or_default();
        assert!(
            row.help.ends_with('.') && first.ends_with('.'),
            "{}: {}",
            row.name,
            row.help
        );
        assert!(first.len() <= 90, "{}: {first}", row.name);
    }
}

#[test]
fn names_are_unique_and_so_are_variables() {
    let mut names: Vec<&str> = table::ALL.iter().map(|row| row.name).collect();
    let mut variables: Vec<String> = table::ALL
        .iter()
        .flat_map(|row| row.all_variables())
        .collect();
    let (all_names, all_variables) = (names.len(), variables.len());
    names.sort_unstable();
    names.dedup();
    variables.sort();
    variables.dedup();
    assert_eq!((names.len(), variables.len()), (all_names, all_variables));
}

#[test]
fn no_variable_is_one_that_kubernetes_sets_for_a_service_of_our_name() {
    for row in table::ALL {
        assert!(!is_injected(&row.variable()), "{}", row.variable());
    }
}

#[test]
fn a_flag_that_works_for_one_command_works_for_all() {
    for name in ["run", "plan", "check", "purge", "rbac", "release-brake"] {
        assert!(
            parse_with(&[name, "--brake-share", "20", "--policy=upsert-only"], &[]).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn help_and_version_are_no_errors_and_everything_else_is() {
    for (arguments, exit) in [
        (&["--help"][..], Exit::Done),
        (&["--version"], Exit::Done),
        (&["run", "--help"], Exit::Done),
        (&["help", "plan"], Exit::Done),
        (&[], Exit::Failed),
        (&["--garbage"], Exit::Failed),
        (&["run", "--garbage"], Exit::Failed),
        (&["run", "extra"], Exit::Failed),
        (&["walk"], Exit::Failed),
    ] {
        let refusal = parse_with(arguments, &[]).unwrap_err();
        let Refusal::Usage(error) = &refusal else {
            panic!("{arguments:?}: {refusal:?}")
        };
        let is_help = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        assert_eq!(is_help, exit == Exit::Done, "{arguments:?}: {error:?}");
    }
}

#[test]
fn a_bad_value_names_where_it_came_from_what_it_was_and_what_would_be_good() {
    assert_eq!(
        refused(
            &["run", "--brake-share", "150"],
            &[("CONSUL_SYNC_POLICY", "all")]
        ),
        "error: CONSUL_SYNC_POLICY \"all\": expected sync, upsert-only or create-only\n\
         error: --brake-share \"150\": expected a whole number of percent from 0 to 100\n\n\
         See consul-sync run --help."
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let names: Vec<String> = table::ALL
        .iter()
        .flat_map(|row| row.all_variables())
        .collect();
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let settings = run_settings(&[], &empty);
    assert_eq!(settings.sync, consul_sync_core::Settings::default());
    assert_eq!(settings.listen, Some("[::]:8080".parse().unwrap()));
}

#[test]
fn defaults_of_the_help_are_defaults_of_the_core() {
    assert_eq!(
        run_settings(&[], &[]).sync,
        consul_sync_core::Settings::default()
    );
}

#[test]
fn release_brake_needs_an_address() {
    assert!(refused(&["release-brake", "--listen", "off"], &[]).contains("--listen \"off\""));
    assert!(matches!(
        parse_with(&["release-brake", "--listen", "127.0.0.1:9"], &[]),
        Ok(Command::ReleaseBrake { listen, direction: None }) if listen.port() == 9
    ));
}

#[test]
fn mistyped_variables_are_found_and_those_of_kubernetes_are_not() {
    let names = [
        "CONSUL_SYNC_BRAKE_SHRE",
        "CONSUL_SYNC_BRAKE_SHARE",
        "CONSUL_SYNC_SERVICE_HOST",
        "CONSUL_SYNC_SERVICE_PORT_HTTP",
        "CONSUL_SYNC_PORT",
        "CONSUL_SYNC_PORT_8080_TCP",
        "CONSUL_HTTP_ADDR",
    ];
    assert_eq!(
        unknown_variables(names.into_iter().map(str::to_owned)),
        ["CONSUL_SYNC_BRAKE_SHRE"]
    );
}

#[test]
fn variables_of_consuls_commands_that_are_not_followed_are_told_of() {
    let set = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        remarks(pairs.into_iter())
    };
    let told = set(&[
        ("CONSUL_HTTP_SSL_VERIFY", "false"),
        ("CONSUL_SYNC_TYPO", "1"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("--consul-ca-file") && told[1].starts_with("CONSUL_SYNC_TYPO "),
        "{told:?}"
    );
    assert!(set(&[("CONSUL_HTTP_SSL_VERIFY", "true"), ("CONSUL_HTTP_AUTH", "")]).is_empty());
}

#[test]
fn completions_and_pages_of_the_manual_name_every_flag() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut definition(), "consul-sync", &mut script);
        let script = String::from_utf8(script).unwrap();
        for row in table::ALL {
            assert!(script.contains(row.name), "{shell}: {}", row.name);
        }
    }
    let program = definition();
    let pages = program.get_subcommands().map(|command| {
        let arguments = ["man", command.get_name()];
        match parse_with(&arguments, &[]) {
            Ok(Command::Man(page)) => {
                let mut text = Vec::new();
                clap_mangen::Man::new(*page).render(&mut text).unwrap();
                String::from_utf8(text).unwrap()
            }
            // Those that have no settings.
            _ => String::new(),
        }
    });
    let pages: String = pages.collect();
    for row in table::ALL {
        let flag = format!("\\-\\-{}\\fR", row.name.replace('-', "\\-"));
        assert!(pages.contains(&flag), "{}", row.name);
    }
    let Ok(Command::Man(program)) = parse_with(&["man"], &[]) else {
        panic!("the program has a page");
    };
    assert_eq!(program.get_name(), "consul-sync");
}

fn settings_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_settings_file_is_named_by_a_flag_or_a_variable_and_its_problems_name_it() {
    let file = settings_file("brake-share: 20\npolicy: upsert-only\n");
    let path = file.path().to_str().unwrap();
    let by_flag = run_settings(&["--config", path, "--brake-share=30"], &[]);
    assert_eq!(by_flag.sync.brake.share, 30);
    assert_eq!(by_flag.sync.policy, consul_sync_core::Policy::UpsertOnly);
    let by_variable = run_settings(
        &[],
        &[("CONSUL_SYNC_CONFIG", path), ("CONSUL_SYNC_POLICY", "sync")],
    );
    assert_eq!(by_variable.sync.brake.share, 20);
    assert_eq!(by_variable.sync.policy, consul_sync_core::Policy::Sync);
    fs::write(file.path(), "brake-shar: 20\n").unwrap();
    assert!(
        refused(&["plan", "--config", path], &[])
            .contains(":1 \"brake-shar\": no such setting (is it brake-share?)")
    );
    assert!(
        refused(&["run"], &[("CONSUL_SYNC_CONFIG", "/nowhere/s.yaml")]).starts_with(
            "error: CONSUL_SYNC_CONFIG \"/nowhere/s.yaml\": expected a file that can be read"
        )
    );
}
