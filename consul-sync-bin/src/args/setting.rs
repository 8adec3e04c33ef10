//! One thing that an operator can set: its name, where it may come from, and how its text is read.
//!
//! A setting is described once, as a row of [`table`](super::table). The flags, the variables, the help and the
//! messages about bad values are all made from that row, so that they cannot differ; another way to give settings
//! (a file, another program's flags) is another producer of [`Given`](super::given::Given) from the same rows.

/// A row with the function that reads its text.
#[derive(Debug)]
pub(crate) struct Setting<T: 'static> {
    /// What does not depend on the type.
    pub(crate) row: Row,
    /// Reads the text; the error says what would be good, as in `expected a duration such as 30s`.
    pub(crate) parse: fn(&str) -> Result<T, String>,
}

/// What is known of a setting without its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The flag without its dashes.
    pub(crate) name: &'static str,
    /// What the value is called in the help.
    pub(crate) placeholder: &'static str,
    /// How many values it takes.
    pub(crate) shape: Shape,
    /// Where it stands in the help.
    pub(crate) section: Section,
    /// The text that holds when nothing was given.
    pub(crate) default: Option<&'static str>,
    /// What the help says of the default in place of its text.
    pub(crate) default_note: Option<&'static str>,
    /// Variables of other programs that are read as well, after our own.
    pub(crate) variables: &'static [&'static str],
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
    /// One line that says what it is, then what else there is to know.
    pub(crate) help: &'static str,
}

/// How many values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One.
    One,
    /// Any number: the flag again, or commas.
    Many,
    /// `true` or `false`, and a flag without a value is `true`.
    Switch,
}

/// A heading of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Which way services go.
    Direction,
    /// How the API server is reached.
    Kubernetes,
    /// Which Services are registered, and as what.
    Export,
    /// Which services of Consul appear in Kubernetes, and as what.
    Import,
    /// How Consul is reached and where the instances go.
    Consul,
    /// What may be written.
    Safety,
    /// The process itself.
    Process,
}

// === impl Setting ===

impl<T> Setting<T> {
    /// A setting of one value.
    pub(crate) const fn one(
        name: &'static str,
        placeholder: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Self {
        Self {
            row: Row {
                name,
                placeholder,
                shape: Shape::One,
                section: Section::Process,
                default: None,
                default_note: None,
                variables: &[],
                secret: false,
                help: "",
            },
            parse,
        }
    }

    /// A setting of any number of values.
    pub(crate) const fn many(
        name: &'static str,
        placeholder: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Self {
        let mut setting = Self::one(name, placeholder, parse);
        setting.row.shape = Shape::Many;
        setting
    }

    /// The same under a heading, with a help text.
    pub(crate) const fn help(mut self, section: Section, help: &'static str) -> Self {
        self.row.section = section;
        self.row.help = help;
        self
    }

    /// The same with a default.
    pub(crate) const fn default(mut self, text: &'static str) -> Self {
        self.row.default = Some(text);
        self
    }

    /// The same with a note in the help where the default is not one text.
    pub(crate) const fn default_note(mut self, note: &'static str) -> Self {
        self.row.default_note = Some(note);
        self
    }

    /// The same with variables of other programs that are read as well.
    pub(crate) const fn also(mut self, variables: &'static [&'static str]) -> Self {
        self.row.variables = variables;
        self
    }

    /// The same as a secret.
    pub(crate) const fn secret(mut self) -> Self {
        self.row.secret = true;
        self
    }
}

impl Setting<bool> {
    /// A setting that is on or off.
    pub(crate) const fn switch(name: &'static str, default: bool) -> Self {
        let mut setting = Self::one(name, "BOOL", super::value::boolean);
        setting.row.shape = Shape::Switch;
        setting.row.default = Some(if default { "true" } else { "false" });
        setting
    }
}

// === impl Row ===

/// What our own variables start with.
pub(crate) const PREFIX: &str = "CONSUL_SYNC_";

impl Row {
    /// Our own variable, from the name.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// Every variable that is read, the strongest first.
    pub(crate) fn all_variables(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.variable()).chain(self.variables.iter().map(ToString::to_string))
    }

    /// The flag as it is typed.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.name)
    }

    /// The first line of the help, without its full stop.
    pub(crate) fn headline(&self) -> String {
        let line = self.help.lines().next().unwrap_or_default();
        format!("{}{}", line.trim_end_matches('.'), self.brackets(false))
    }

    /// The whole help.
    pub(crate) fn text(&self) -> String {
        format!("{}\n\n{}", self.help, self.brackets(true).trim_start())
    }

    fn brackets(&self, whole: bool) -> String {
        let mut text = String::new();
        if let Some(default) = self
            .default_note
            .or(self.default)
            .filter(|text| !text.is_empty())
        {
            text.push_str(" [default: ");
            text.push_str(default);
            text.push(']');
        }
        if whole {
            let variables: Vec<String> = self.all_variables().collect();
            text.push_str(" [env: ");
            text.push_str(&variables.join(", "));
            text.push(']');
        }
        text
    }
}

// === impl Section ===

impl Section {
    /// The heading.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Direction => "Directions",
            Self::Kubernetes => "Kubernetes",
            Self::Export => "What is exported",
            Self::Import => "What is imported",
            Self::Consul => "Consul",
            Self::Safety => "Safety",
            Self::Process => "Process",
        }
    }
}
