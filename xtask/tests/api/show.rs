//! Tokens as a person writes them.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The tokens of a piece of syntax in one line, without docs.
pub(crate) fn show(syntax: &impl ToTokens) -> String {
    let mut text = String::new();
    write(syntax.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut tokens = tokens.into_iter().peekable();
    let mut before = Before::Begin;
    while let Some(token) = tokens.next() {
        // `#[doc = "…"]`, and its comments.
        if let (TokenTree::Punct(punct), Some(TokenTree::Group(group))) = (&token, tokens.peek())
            && punct.as_char() == '#'
            && group.stream().to_string().starts_with("doc")
        {
            tokens.next();
            continue;
        }
        before = match &token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => (" { ", " }"),
                    Delimiter::None => ("", ""),
                };
                let apart = matches!(before, Before::Arrow | Before::Comma);
                let open = if apart && open != " { " { format!(" {open}") } else { open.to_owned() };
                text.push_str(if text.ends_with(' ') { open.trim_start() } else { &open });
                let mut inner = String::new();
                write(group.stream(), &mut inner);
                text.push_str(&inner);
                text.push_str(close);
                Before::Word
            }
            TokenTree::Punct(punct) => {
                let (sign, joint) = (punct.as_char(), punct.spacing() == Spacing::Joint);
                let lead = match (sign, &before) {
                    ('=' | '+' | '|', Before::Word) => " ",
                    ('-', Before::Word) => " ",
                    ('&' | '\'' | '#' | '$' | '*', Before::Comma | Before::Arrow) => " ",
                    ('&' | '\'', Before::Word) if text.ends_with(char::is_alphanumeric) => " ",
                    _ => "",
                };
                text.push_str(lead);
                text.push(sign);
                match (sign, &before) {
                    (',' | ';' | '+' | '|', _) => Before::Comma,
                    ('=', _) if !joint => Before::Comma,
                    ('>', Before::Open) if text.ends_with("->") || text.ends_with("=>") => Before::Arrow,
                    // `name: Type`, not `path::Type`.
                    (':', _) if !joint && !text.ends_with("::") => Before::Comma,
                    ('>' | '*' | '!' | '?', _) if !joint => Before::Sign,
                    _ => Before::Open,
                }
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => {
                let lead = matches!(before, Before::Word | Before::Comma | Before::Arrow);
                let closed = matches!(before, Before::Sign) && text.ends_with(['>', ')', ']']);
                text.push_str(if lead || closed { " " } else { "" });
                let word = token.to_string();
                // Prose is not API.
                text.push_str(if word.starts_with('"') && word.contains(' ') { "\"…\"" } else { &word });
                Before::Word
            }
        };
    }
}

/// What was written last.
#[derive(PartialEq)]
enum Before {
    Begin,
    Word,
    /// What is followed by a space.
    Comma,
    /// `->` or `=>`.
    Arrow,
    /// What nothing is apart from: `&`, `::`, `<`.
    Open,
    /// Any other sign.
    Sign,
}
