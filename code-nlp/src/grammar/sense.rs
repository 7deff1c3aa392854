//! What a word of the lexicon can mean.

use code_core::intent::{Action, Kind, Platform};

/// What a known phrase can mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sense {
    /// A verb: what may be done, and in which form it stands.
    Verb(Deed, Form),
    /// A noun that names an action: "the health of".
    Topic(Action),
    /// What `rotate_secrets` makes new.
    Secret,
    /// A kind of component.
    Kind(Kind),
    /// A product, its usual kind, and whether the word is an ordinary one as well.
    Product { engine: String, kind: Option<Kind>, ordinary: bool },
    /// An environment, and whether the word is an ordinary one as well.
    Env { name: String, ordinary: bool },
    /// A platform.
    Platform(Platform),
    /// A compliance framework.
    Compliance(String),
    /// A field that takes a value.
    Field(Field),
    /// A field that is true or false.
    Flag(Flag, bool),
    /// A unit of a quantity.
    Unit(Unit),
    /// A dependency.
    Relation(Relation),
    /// A verb that makes a dependency with a preposition behind its object: "stores … in".
    Gap,
    /// Asks only to show or plan.
    DryRun,
    /// What follows replaces what was said before.
    Correction,
}

/// What a verb asks for: an action, or one that depends on what stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    Do(Action),
    Set,
    Raise,
    Need,
    Get,
    Show,
    Check,
    Run,
    Bring,
    Add,
    Estimate,
    Renew,
}

/// The form in which a verb stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    Base,
    Third,
    Past,
    Ing,
}

/// A field that takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Replicas,
    Memory,
    Storage,
    Cpu,
    Port,
    Host,
    Version,
    Image,
    Source,
    Schedule,
    Env,
    Name,
    Namespace,
    Region,
    Budget,
    Platform,
}

/// A field that is true or false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Flag {
    Public,
    Tls,
    HighlyAvailable,
    Backups,
    Encrypted,
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes(&'static str),
    Core,
    Money(String),
}

/// Which side of a relation needs the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Needs,
    Feeds,
}

macro_rules! classes {
    ($($variant:ident $word:literal,)*) => {
        /// A class of the words that hold a sentence together; the table `words.tsv` lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Class { $($variant,)* }
        impl Class {
            pub(super) const ALL: &'static [(Class, &'static str)] = &[$((Class::$variant, $word),)*];
            pub(super) const fn bit(self) -> u64 { 1 << self as u64 }
        }
    };
}

classes! {
    Indefinite "indefinite", Definite "definite", Possessive "possessive", It "it", Them "them", Both "both",
    All "all", Everything "everything", There "there", Not "not", Without "without", Leave "leave",
    Nothing "nothing", Yes "yes", No "no", And "and", Or "or", But "but", Only "only", Then "then",
    Called "called", To "to", From "from", In "in", Of "of", By "by", As "as", With "with", Who "who",
    Modal "modal", Be "be", Was "was", Which "which", If "if", Why "why", Ask "ask", Up "up", Down "down",
    Back "back", Later "later", Auto "auto", Between "between", Range "range", AtLeast "atleast",
    AtMost "atmost", Previous "previous", Revision "revision", Application "application",
    Environment "environment", Head "head", Per "per", Month "month", Year "year", Fill "fill",
}

/// Some classes at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(pub(super) u64);

impl Classes {
    pub(crate) fn has(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a phrase can mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) senses: Vec<Sense>,
    pub(crate) classes: Classes,
}
