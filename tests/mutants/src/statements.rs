//! The statements of a source file that can be deleted.

use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, Member, Pat, Stmt};

/// How a statement is made to be deletable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing is in its place.
    Nothing,
    /// `Ok(())` is in its place: it is the last expression of a function that returns `Result<(), _>`.
    Success,
    /// The default value is in its place: it is a field of a snapshot, or a field that is restored from one.
    Default,
}

/// A statement that can be deleted.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// Its place in the source file, in bytes.
    pub range: Range<usize>,
    /// Its line, counted from 1.
    pub line: usize,
    /// The function around it, with the type if it is a method.
    pub function: String,
    /// The statement, with its white space collapsed.
    pub text: String,
    pub form: Form,
}

/// All deletable statements of a file, outer ones before inner ones.
pub fn of(source: &str) -> Result<Vec<Mutant>, syn::Error> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder { source, owner: String::new(), function: String::new(), restores: false, found: vec![] };
    finder.visit_file(&file);
    finder.found.sort_by_key(|mutant| (mutant.range.start, usize::MAX - mutant.range.end));
    finder.found.dedup_by(|second, first| second.range == first.range);
    Ok(finder.found)
}

/// What an expression is worth at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `()`.
    Unit,
    /// `Result<(), _>`, returned by the function.
    Fallible,
    /// Anything else.
    Value,
}

struct Finder<'a> {
    source: &'a str,
    owner: String,
    function: String,
    /// Whether the function writes or reads snapshots.
    restores: bool,
    found: Vec<Mutant>,
}

impl Finder<'_> {
    fn text(&self, range: &Range<usize>) -> &str {
        self.source.get(range.clone()).unwrap_or_default()
    }

    fn add(&mut self, spanned: &impl syn::spanned::Spanned, form: Form) {
        let span = spanned.span();
        let range = span.byte_range();
        let text = self.text(&range).split_whitespace().collect::<Vec<_>>().join(" ");
        let function =
            if self.owner.is_empty() { self.function.clone() } else { format!("{}::{}", self.owner, self.function) };
        self.found.push(Mutant { range, line: span.start().line, function, text, form });
    }

    fn function(&mut self, signature: &syn::Signature, attributes: &[Attribute], body: &Block) {
        if signature.constness.is_some() || is_test(attributes) {
            return;
        }
        let place = match &signature.output {
            syn::ReturnType::Default => Place::Unit,
            syn::ReturnType::Type(_, kind) => {
                let text = self.text(&kind.span().byte_range());
                // What `Engine::check` calls: only together with a defect can it be seen that it looks at less.
                if text == "Checked" || text == "Result<(), String>" {
                    return;
                }
                let is_fallible = text == "Applied" || text == "Applied<()>" || text.starts_with("Result<(),");
                if is_fallible { Place::Fallible } else { Place::Value }
            }
        };
        let name = signature.ident.to_string();
        let restores = ["snapshot", "record", "restore"].iter().any(|word| name.contains(word));
        let outer = (std::mem::replace(&mut self.function, name), std::mem::replace(&mut self.restores, restores));
        self.block(body, place);
        (self.function, self.restores) = outer;
    }

    fn block(&mut self, block: &Block, place: Place) {
        for (index, statement) in block.stmts.iter().enumerate() {
            let is_last = index + 1 == block.stmts.len();
            match statement {
                Stmt::Local(local) => {
                    let Some(init) = &local.init else { continue };
                    if matches!(local.pat, Pat::Wild(_)) {
                        self.add(statement, Form::Nothing);
                    }
                    self.expression(&init.expr, Place::Value);
                    if let Some((_, diverging)) = &init.diverge {
                        self.expression(diverging, Place::Value);
                    }
                }
                Stmt::Item(item) => self.visit_item(item),
                Stmt::Macro(call) => {
                    let name = call.mac.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
                    if !name.contains("assert") && !name.contains("panic") && !name.contains("unreachable") {
                        self.add(statement, Form::Nothing);
                    }
                }
                Stmt::Expr(expr, semicolon) if semicolon.is_some() || !is_last => {
                    // The statement with its semicolon. An outer one that holds a single statement is no other mutant,
                    // unless its condition changes something.
                    if !self.is_wrapper(expr) {
                        self.add(statement, Form::Nothing);
                    }
                    self.expression(expr, Place::Unit);
                }
                Stmt::Expr(expr, _) => self.tail(expr, place),
            }
        }
    }

    /// An expression whose value is that of its block, or of its arm of a `match`.
    fn tail(&mut self, expr: &Expr, place: Place) {
        let is_control = matches!(expr, Expr::If(_) | Expr::Match(_) | Expr::Block(_));
        let is_loop = matches!(expr, Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_));
        let is_empty = matches!(expr, Expr::Tuple(tuple) if tuple.elems.is_empty())
            || matches!(expr, Expr::Block(block) if block.block.stmts.is_empty());
        let form = match place {
            Place::Value => None,
            _ if is_empty => None,
            Place::Unit if !is_control || (matches!(expr, Expr::If(_)) && !self.is_wrapper(expr)) => {
                (!(is_loop && self.is_wrapper(expr))).then_some(Form::Nothing)
            }
            Place::Unit => None,
            Place::Fallible if is_control || is_loop || matches!(expr, Expr::Path(_) | Expr::Macro(_)) => None,
            Place::Fallible => {
                let text = self.text(&expr.span().byte_range());
                (!text.starts_with("Ok(") && !text.starts_with("Err(")).then_some(Form::Success)
            }
        };
        if let Some(form) = form {
            self.add(expr, form);
        }
        self.expression(expr, place);
    }

    fn expression(&mut self, expr: &Expr, place: Place) {
        match expr {
            Expr::If(choice) => {
                self.expression(&choice.cond, Place::Value);
                let Some((_, other)) = &choice.else_branch else {
                    return self.block(&choice.then_branch, Place::Unit);
                };
                self.block(&choice.then_branch, place);
                self.expression(other, place);
            }
            Expr::Match(choice) => {
                self.expression(&choice.expr, Place::Value);
                for arm in &choice.arms {
                    if let Some((_, guard)) = &arm.guard {
                        self.expression(guard, Place::Value);
                    }
                    self.tail(&arm.body, place);
                }
            }
            Expr::Block(inner) => self.block(&inner.block, place),
            Expr::ForLoop(inner) => {
                self.expression(&inner.expr, Place::Value);
                self.block(&inner.body, Place::Unit);
            }
            Expr::While(inner) => {
                self.expression(&inner.cond, Place::Value);
                self.block(&inner.body, Place::Unit);
            }
            Expr::Loop(inner) => self.block(&inner.body, Place::Unit),
            _ => visit::visit_expr(self, expr),
        }
    }

    /// Whether an expression does nothing besides its only statement, which is a mutant itself.
    fn is_wrapper(&self, expr: &Expr) -> bool {
        let (head, body) = match expr {
            Expr::If(choice) if choice.else_branch.is_none() => (&choice.cond, &choice.then_branch),
            Expr::ForLoop(inner) => (&inner.expr, &inner.body),
            Expr::While(inner) => (&inner.cond, &inner.body),
            Expr::Loop(inner) => return inner.body.stmts.len() == 1,
            // Its arms or its statements are the mutants.
            Expr::Match(choice) => return choice.arms.len() == 1,
            Expr::Block(_) => return true,
            _ => return false,
        };
        let head = self.text(&head.span().byte_range());
        let changes = [".remove(", ".insert(", ".take(", ".pop", ".replace(", ".push", ".retain(", ".drain("];
        matches!(body.stmts.as_slice(), [Stmt::Expr(..)]) && !changes.iter().any(|change| head.contains(change))
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}

    fn visit_impl_item_const(&mut self, _: &'a syn::ImplItemConst) {}

    fn visit_item_static(&mut self, _: &'a syn::ItemStatic) {}

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        let name = self.text(&item.self_ty.span().byte_range());
        let name = name.split('<').next().unwrap_or_default().to_owned();
        let outer = std::mem::replace(&mut self.owner, name);
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig, &item.attrs, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig, &item.attrs, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, &item.attrs, body);
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        self.expression(expr, Place::Value);
    }

    fn visit_block(&mut self, block: &'a Block) {
        self.block(block, Place::Value);
    }

    fn visit_expr_struct(&mut self, literal: &'a syn::ExprStruct) {
        for field in &literal.fields {
            let is_named = matches!(field.member, Member::Named(_)) && field.colon_token.is_some();
            if self.restores && is_named && !is_default(self.text(&field.expr.span().byte_range())) {
                self.add(&field.expr, Form::Default);
            }
            self.expression(&field.expr, Place::Value);
        }
        if let Some(rest) = &literal.rest {
            self.expression(rest, Place::Value);
        }
    }
}

/// Whether a value is the default already.
fn is_default(text: &str) -> bool {
    matches!(text, "None" | "0" | "false") || text.ends_with("::default()") || text.ends_with("::new()")
}

/// Whether an item is built for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string().contains("test")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletable_statements_are_found_and_tests_are_not() {
        let source = "
            impl Book {
                fn apply(&mut self, event: &Event) -> Applied {
                    let Some(task) = self.task() else { return Ok(()) };
                    if self.open { self.count += 1; }
                    match event {
                        Event::Ended => self.end(task),
                        Event::Begun => { self.begin(task); self.note(task) }
                        Event::Other => Ok(()),
                    }
                }
                fn record(&self) -> Record { Record { at: self.at, name, more: None } }
            }
            #[cfg(test)]
            mod tests { fn f() { g(); } }";
        let found = of(source).unwrap();
        let found: Vec<_> = found.iter().map(|mutant| (mutant.text.as_str(), mutant.form)).collect();
        let expected = [
            ("self.count += 1;", Form::Nothing),
            ("self.end(task)", Form::Success),
            ("self.begin(task);", Form::Nothing),
            ("self.note(task)", Form::Success),
            ("self.at", Form::Default),
        ];
        assert_eq!(found, expected);
    }
}
