//! Who has to act before the same command can succeed, and the process exit code for it.

/// The class of an error, which decides the exit code of a worker.
///
/// Pipelines branch on these numbers (only [`Class::Environment`] is worth an automatic retry), so
/// they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A bug in forkpack: please report.
    Internal,
    /// The command line contradicts itself or lacks something.
    Usage,
    /// Not yet: the fork point is not reached, evidence is missing.
    Pending,
    /// Readable data that contradicts other data: a root, a seed, a digest.
    Wrong,
    /// Unreadable, malformed, truncated or unsupported input.
    BadInput,
    /// Disk, network or permission; the same command may work later.
    Environment,
    /// Stopped by a signal; nothing half-written is left.
    Interrupted,
}

/// Exit code of a run that did what it was asked.
pub const EXIT_DONE: u8 = 0;

impl Class {
    /// The process exit code of this class.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Wrong => 4,
            Self::BadInput => 5,
            Self::Environment => 6,
            Self::Interrupted => 130,
        }
    }

    /// The class's name as it appears in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Pending => "pending",
            Self::Wrong => "wrong",
            Self::BadInput => "bad-input",
            Self::Environment => "environment",
            Self::Interrupted => "interrupted",
        }
    }
}

/// An error a worker can end with.
///
/// The message is a lower-case fragment without a full stop that names the file and place it is
/// about and does not repeat its `source()`. The advice what to do next is separate, in
/// [`Fault::hint`].
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// Who has to act.
    fn class(&self) -> Class;

    /// The next thing to try, when there is one.
    fn hint(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Class;

    #[test]
    fn exit_codes_are_the_published_ones() {
        let classes = [
            (Class::Internal, 1),
            (Class::Usage, 2),
            (Class::Pending, 3),
            (Class::Wrong, 4),
            (Class::BadInput, 5),
            (Class::Environment, 6),
            (Class::Interrupted, 130),
        ];
        for (class, code) in classes {
            assert_eq!(class.exit_code(), code, "{}", class.name());
        }
    }
}
