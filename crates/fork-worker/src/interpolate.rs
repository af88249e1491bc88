//! Variable interpolation as `buildkite-agent pipeline upload` does it.
//!
//! The grammar is the agent's: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`,
//! `${VAR?message}`, `${VAR:?message}` and the escapes `$$` and `\$`. Defaults and messages may
//! contain further expansions. `$(` is left to the shell, and so is everything behind an escape:
//! the text of `$${…}` is copied as far as its first closing brace, because that is what newer
//! agents do. Older ones unescape inside, so a dollar sign in there is refused rather than run
//! with two meanings.
//!
//! Substrings (`${VAR:0:7}`) and prefix or suffix removal are refused: nothing here needs them.

use std::collections::BTreeMap;

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// Why a text cannot be interpolated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpolateError {
    /// A variable the pipeline insists on.
    #[error("`{name}` is not set: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The pipeline's own words.
        message: String,
    },
    /// Text the agent would refuse, or that agents disagree on.
    #[error("cannot interpolate `{text}`: {reason}")]
    Syntax {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Interpolates `text`. Unset variables without a default become empty.
///
/// # Errors
///
/// Fails when a required variable is missing and on anything outside the grammar above.
pub fn interpolate(text: &str, environment: &Environment) -> Result<String, InterpolateError> {
    let mut parser = Parser {
        text,
        rest: text,
        environment,
        unused: 0,
    };
    parser.expression(false)
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    environment: &'a Environment,
    /// How many unused defaults surround the current position: in there nothing is required.
    unused: usize,
}

impl Parser<'_> {
    /// Reads up to the end, or up to a closing brace (not consumed) inside a brace expansion.
    fn expression(&mut self, in_brace: bool) -> Result<String, InterpolateError> {
        let mut output = String::new();
        while let Some(first) = self.rest.chars().next() {
            if in_brace && first == '}' {
                break;
            }
            if self.eat("\\\\") {
                output.push_str("\\\\");
            } else if self.eat("\\$") || self.eat("$$") {
                output.push('$');
                output.push_str(self.escaped()?);
            } else if self.eat("$(") {
                output.push_str("$(");
            } else if first == '$' && self.rest.len() > 1 {
                self.eat("$");
                output.push_str(&self.expansion()?);
            } else {
                self.rest = &self.rest[first.len_utf8()..];
                output.push(first);
            }
        }
        Ok(output)
    }

    /// What follows an escaped dollar sign and belongs to the shell.
    fn escaped(&mut self) -> Result<&str, InterpolateError> {
        if !self.rest.starts_with('{') {
            return Ok("");
        }
        let Some(end) = self.rest.find('}') else {
            return Err(self.syntax("an escaped `{` is never closed"));
        };
        let (inside, rest) = self.rest.split_at(end + 1);
        if inside.contains('$') {
            return Err(self.syntax(
                "agents disagree on a `$` inside an escaped brace; assign it to a variable first",
            ));
        }
        self.rest = rest;
        Ok(inside)
    }

    fn expansion(&mut self) -> Result<String, InterpolateError> {
        if !self.eat("{") {
            let name = self.identifier()?;
            return Ok(self.environment.get(&name).cloned().unwrap_or_default());
        }
        let name = self.identifier()?;
        let value = self.environment.get(&name).cloned();
        let filled = value.clone().filter(|value| !value.is_empty());
        let result = if self.eat(":-") {
            self.default_for(filled)?
        } else if self.eat(":?") {
            self.required(&name, filled)?
        } else if self.eat("-") {
            self.default_for(value)?
        } else if self.eat("?") {
            self.required(&name, value)?
        } else if self.rest.starts_with('}') {
            value.unwrap_or_default()
        } else {
            return Err(self.syntax(&format!(
                "only `:-`, `-`, `:?` and `?` may follow `${{{name}`"
            )));
        };
        if !self.eat("}") {
            return Err(self.syntax(&format!("`${{{name}` is never closed")));
        }
        Ok(result)
    }

    fn default_for(&mut self, value: Option<String>) -> Result<String, InterpolateError> {
        self.unused += usize::from(value.is_some());
        let default = self.expression(true);
        self.unused -= usize::from(value.is_some());
        let default = default?;
        Ok(value.unwrap_or(default))
    }

    fn required(&mut self, name: &str, value: Option<String>) -> Result<String, InterpolateError> {
        let message = self.expression(true)?;
        if self.unused > 0 {
            return Ok(String::new());
        }
        value.ok_or_else(|| InterpolateError::Required {
            name: name.to_owned(),
            message: if message.is_empty() {
                "the pipeline requires it".to_owned()
            } else {
                message
            },
        })
    }

    fn identifier(&mut self) -> Result<String, InterpolateError> {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !name.starts_with(char::is_alphabetic) {
            return Err(self.syntax("a variable name must start with a letter"));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn syntax(&self, reason: &str) -> InterpolateError {
        InterpolateError::Syntax {
            text: self.text.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, InterpolateError, interpolate};

    fn environment() -> Environment {
        [("NAME", "devnet"), ("EMPTY", ""), ("QUOTES", "a \"b\" $C")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn expands_like_the_agent() {
        let cases = [
            ("plain", "plain"),
            ("$NAME-x", "devnet-x"),
            ("${NAME}x", "devnetx"),
            ("$MISSING|${MISSING}|", "||"),
            (
                "${EMPTY:-d} ${EMPTY-d} ${MISSING-d} ${NAME:-d}",
                "d  d devnet",
            ),
            ("${MISSING:-${NAME:-x}-y}", "devnet-y"),
            ("${NAME:-${MISSING?unused}}", "devnet"),
            ("${NAME?unused}", "devnet"),
            ("${NAME:?unused}", "devnet"),
            ("${EMPTY?set but empty is set}", ""),
            ("$$NAME \\$NAME", "$NAME $NAME"),
            ("$${NAME:+x} $${args[@]}", "${NAME:+x} ${args[@]}"),
            ("$(date) cost: 5$", "$(date) cost: 5$"),
            ("a\\\\b", "a\\\\b"),
            // A value is never interpolated again.
            ("${QUOTES}", "a \"b\" $C"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                interpolate(text, &environment()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn missing_required_variables_say_what_they_are_for() {
        for text in ["${MISSING?the network}", "${EMPTY:?the network}"] {
            let error = interpolate(text, &environment()).unwrap_err();
            assert!(matches!(error, InterpolateError::Required { .. }));
            assert!(error.to_string().ends_with("the network"), "{error}");
        }
    }

    #[test]
    fn refuses_what_agents_refuse_or_disagree_on() {
        for text in [
            "${NAME:+x}",
            "${NAME:0:3}",
            "${NAME",
            "$1",
            "${}",
            "$${A:+$$B}",
            "$${A",
        ] {
            let error = interpolate(text, &environment()).unwrap_err();
            assert!(matches!(error, InterpolateError::Syntax { .. }), "{text}");
        }
    }
}
