//! Renders templates strictly: a name that means nothing is an error with its file and line, not an empty string.

use handlebars::{
    Context as Data, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy, Output, RenderContext, RenderError, RenderErrorReason,
    Renderable,
};
use serde_json::Value;

use super::library::{Library, LibraryError, Template};
use crate::domain::name::ProfileName;

/// Longest rendered file in bytes.
const MAX_RENDERED: usize = 4 * 1024 * 1024;

/// Why a file could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The profile cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// Neither the profile nor what it extends has such a template.
    #[error("profile `{profile}` has no template `{name}`, nor has what it extends: there are {}", known.join(", "))]
    NoTemplate {
        /// The profile.
        profile: ProfileName,
        /// The template.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The template is wrong.
    #[error("{file}:{line}: {problem}\n  {line} | {snippet}\n  {remedy}")]
    Template {
        /// The template's file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
        /// The line itself.
        snippet: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

/// A profile's templates, parsed.
#[derive(Debug)]
pub struct Renderer {
    engine: Handlebars<'static>,
    profile: ProfileName,
    templates: std::collections::BTreeMap<String, Template>,
}

impl Renderer {
    /// Parses all templates of a profile and of what it extends.
    ///
    /// # Errors
    /// [`Error`] names the first template that does not parse.
    pub fn new(library: &Library, profile: &ProfileName) -> Result<Self, Error> {
        let templates = library.templates(profile)?;
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(handlebars::no_escape);
        engine.register_helper("sh", Box::new(sh));
        engine.register_helper("join", Box::new(join));
        engine.register_helper("default", Box::new(default));
        engine.register_helper("json", Box::new(json));
        engine.register_helper("if", Box::new(Branch { on: true }));
        engine.register_helper("unless", Box::new(Branch { on: false }));
        for (name, template) in &templates {
            engine.register_template_string(name, &template.text).map_err(|error| {
                let (line, _) = error.pos().unwrap_or((1, 1));
                template.wrong(
                    line,
                    error.reason().to_string(),
                    "a {{#if}} or {{#each}} without its end, or a {{ that is meant as text: write \\{{",
                )
            })?;
        }
        let templates = templates.into_iter().map(|(name, template)| (name.to_owned(), template.clone())).collect();
        Ok(Self { engine, profile: profile.clone(), templates })
    }

    /// Renders one template.
    ///
    /// # Errors
    /// [`Error`] with the template's file and line.
    pub fn render(&self, name: &str, data: Value) -> Result<String, Error> {
        let template = self.templates.get(name).ok_or_else(|| Error::NoTemplate {
            profile: self.profile.clone(),
            name: name.to_owned(),
            known: self.templates.keys().cloned().collect(),
        })?;
        let text = self.engine.render_with_context(name, &Data::from(data)).map_err(|error| self.explain(template, &error))?;
        if text.len() > MAX_RENDERED {
            return Err(template.wrong(1, format!("renders to {} bytes", text.len()), "make it shorter: 4 MiB is the limit"));
        }
        Ok(text)
    }

    fn explain(&self, outer: &Template, error: &RenderError) -> Error {
        let template = error.template_name.as_deref().and_then(|name| self.templates.get(name)).unwrap_or(outer);
        let line = error.line_no.unwrap_or(1);
        let (problem, remedy) = match error.reason() {
            RenderErrorReason::MissingVariable(path) => (
                format!("there is no `{}`", path.as_deref().unwrap_or("such value")),
                "secrets are there only in what is rendered after the write gate; `kickctl explain NODE` shows every value; (default x y) gives one where x may be missing",
            ),
            RenderErrorReason::PartialNotFound(name) => {
                (format!("there is no template `{name}` to include"), "add it to the profile as NAME.hbs, or to one that it extends")
            }
            RenderErrorReason::HelperNotFound(name) => {
                (format!("there is no helper `{name}`"), "helpers are sh, join, default, json and those of Handlebars")
            }
            reason => (reason.to_string(), "see docs/profiles.md for what templates can use"),
        };
        template.wrong(line, problem, remedy)
    }
}

impl Template {
    fn wrong(&self, line: usize, problem: String, remedy: &'static str) -> Error {
        let snippet = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().chars().take(160).collect();
        Error::Template { file: self.file.clone(), line, problem, snippet, remedy }
    }
}

/// Quotes for a POSIX shell: `it's` becomes `'it'\''s'`.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

type Reply = HelperResult;

fn sh(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Data, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> Reply {
    let value = helper.param(0).filter(|param| !param.is_value_missing()).ok_or(RenderErrorReason::MissingVariable(path_of(helper)))?;
    let words = match value.value() {
        Value::Array(items) => items.iter().map(|item| quoted(&text(item))).collect::<Vec<_>>().join(" "),
        one => quoted(&text(one)),
    };
    Ok(out.write(&words)?)
}

fn join(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Data, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> Reply {
    let value = helper.param(0).filter(|param| !param.is_value_missing()).ok_or(RenderErrorReason::MissingVariable(path_of(helper)))?;
    let between = helper.param(1).and_then(|param| param.value().as_str()).unwrap_or(" ");
    let items: Vec<String> = value.value().as_array().map(|items| items.iter().map(text).collect()).unwrap_or_default();
    Ok(out.write(&items.join(between))?)
}

/// JSON is YAML too: text comes in quotes, so that nothing of it is taken for a number or a truth value.
fn json(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Data, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> Reply {
    let value = helper.param(0).filter(|param| !param.is_value_missing()).ok_or(RenderErrorReason::MissingVariable(path_of(helper)))?;
    Ok(out.write(&value.value().to_string())?)
}

fn default(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Data, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> Reply {
    let missing = |value: &Value| value.is_null() || value.as_str() == Some("");
    let given = helper.param(0).filter(|param| !param.is_value_missing() && !missing(param.value()));
    let chosen = given.or_else(|| helper.param(1)).map(|param| text(param.value())).unwrap_or_default();
    Ok(out.write(&chosen)?)
}

/// `if` and `unless`, which in Handlebars take a name that means nothing for false, strict mode or not (seen in handlebars 6.4).
struct Branch {
    on: bool,
}

impl HelperDef for Branch {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        data: &'rc Data,
        state: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = helper.param(0).filter(|param| !param.is_value_missing()).ok_or(RenderErrorReason::MissingVariable(path_of(helper)))?;
        let branch = if value.value().is_truthy(false) == self.on { helper.template() } else { helper.inverse() };
        branch.map_or(Ok(()), |branch| branch.render(engine, data, state, out))
    }
}

fn path_of(helper: &Helper<'_>) -> Option<String> {
    helper.param(0).and_then(|param| param.relative_path().cloned())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
