//! Commands whose arguments are described when they are wanted.

use clap::builder::Resettable;
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

/// Arguments that are described only if their command is given, or all commands are listed with theirs: to describe those of every command
/// takes longer than many a command takes. The command's own text has to stand with the command, since `--help` shows it without the rest.
#[derive(Clone, Debug)]
pub struct Deferred<T>(pub T);

impl<T: Args> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Deferred<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        command.defer(|command| titled(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| titled(command, T::augment_args_for_update))
    }
}

/// A command with its arguments; what is said of the arguments' type does not replace what is said of the command.
fn titled(command: Command, augment: fn(Command) -> Command) -> Command {
    let (about, long) = (command.get_about().cloned(), command.get_long_about().cloned());
    augment(command).about(Resettable::from(about)).long_about(Resettable::from(long))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser, Subcommand};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Subcommand)]
    enum Verb {
        /// Count what there is
        Count(Deferred<Counting>),
    }

    /// How to count.
    #[derive(Args)]
    struct Counting {
        /// Up to this
        #[arg(long)]
        most: Option<u32>,
    }

    #[test]
    fn arguments_are_described_when_they_are_wanted_and_the_commands_text_stays() {
        let mut command = Program::command();
        let count = |command: &Command| {
            let count = command.find_subcommand("count").unwrap();
            (count.get_about().unwrap().to_string(), count.get_arguments().any(|argument| argument.get_id() == "most"))
        };
        assert_eq!(count(&command), ("Count what there is".to_owned(), false));
        command.build();
        assert_eq!(count(&command), ("Count what there is".to_owned(), true));
        let Verb::Count(Deferred(counting)) = Program::parse_from(["program", "count", "--most", "3"]).verb;
        assert_eq!(counting.most, Some(3));
        assert!(Program::try_parse_from(["program", "count", "--least", "3"]).is_err());
    }
}
