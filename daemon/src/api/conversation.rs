//! The shapes of conversations, and of what is found in them.

use candor_adapters::agents::{Item, TurnUsage};
use candor_adapters::sqlite::conversations::{Hit, Hits, Page, StoredItem, Totals};
use candor_adapters::sqlite::conversations::{kind_word, role_word};
use candor_core::agent::Usage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{dollars, schema, time_text};

/// A page of a conversation.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct MessagesView {
    pub(crate) items: Vec<MessageView>,
    /// Where the next page begins.
    pub(crate) next: u64,
    /// Whether nothing more is there at the moment.
    pub(crate) at_end: bool,
    /// Up to which byte of standard output the conversation is complete.
    pub(crate) read_to: u64,
}

/// A piece of a conversation, also as one line.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct MessageView {
    /// Counts the pieces of its session, from 1.
    pub(crate) seq: u64,
    /// Where the line stands in standard output that it was read from.
    pub(crate) offset: u64,
    /// The length of that line in bytes, without its end.
    pub(crate) length: u64,
    /// Which piece of that line it is.
    pub(crate) part: u32,
    pub(crate) role: String,
    pub(crate) kind: String,
    pub(crate) text: String,
    /// Whether the text was cut: the line has all of it.
    pub(crate) is_cut: bool,
    pub(crate) tool: Option<String>,
    /// The agent's own name for the call, of a call and of its result.
    pub(crate) call: Option<String>,
    pub(crate) is_error: bool,
    /// The call within which a sub-agent says it.
    pub(crate) within: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) at: Option<String>,
    pub(crate) model: Option<String>,
    /// What the turn has used, at its end.
    pub(crate) usage: Option<TurnUsageView>,
}

/// Tokens and cost.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct TurnUsageView {
    #[serde(flatten)]
    #[schema(value_type = schema::Usage)]
    pub(crate) tokens: Usage,
    /// In US dollars, if the agent says so.
    pub(crate) cost_usd: Option<f64>,
}

/// What a session has used in all its turns.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// Pieces of its conversation.
    pub(crate) items: u64,
    /// Turns that have ended.
    pub(crate) turns: u64,
    #[serde(flatten)]
    pub(crate) used: TurnUsageView,
}

/// What was found.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct HitsView {
    /// The newest first.
    pub(crate) hits: Vec<HitView>,
    /// Where it goes on; null at the end.
    pub(crate) next: Option<u64>,
}

/// A piece of a conversation that was found.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct HitView {
    #[schema(format = Uuid)]
    pub(crate) session: String,
    pub(crate) seq: u64,
    pub(crate) offset: u64,
    pub(crate) role: String,
    pub(crate) kind: String,
    pub(crate) tool: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) at: Option<String>,
    /// The text around what was found.
    pub(crate) snippet: String,
    /// Where the words stand in it, each from one byte to before another.
    pub(crate) marks: Vec<(usize, usize)>,
}

impl MessagesView {
    pub(crate) fn new(page: Page) -> Self {
        let Page { items, next, at_end, read_to } = page;
        Self { items: items.into_iter().map(MessageView::new).collect(), next, at_end, read_to }
    }
}

impl MessageView {
    pub(crate) fn new(StoredItem { seq, item }: StoredItem) -> Self {
        let Item { place, part, role, kind, text, is_cut, tool, call, .. } = item;
        Self {
            seq,
            offset: place.offset,
            length: place.length,
            part,
            role: role_word(role).to_owned(),
            kind: kind_word(kind).to_owned(),
            text,
            is_cut,
            tool,
            call,
            is_error: item.is_error,
            within: item.within,
            at: item.at.map(time_text),
            model: item.model,
            usage: item.usage.map(|used| TurnUsageView::new(&used)),
        }
    }
}

impl TurnUsageView {
    fn new(used: &TurnUsage) -> Self {
        Self { tokens: used.usage, cost_usd: used.cost_microusd.map(dollars) }
    }
}

impl UsageView {
    pub(crate) fn new(totals: &Totals) -> Self {
        let Totals { items, turns, usage, cost_microusd } = *totals;
        Self { items, turns, used: TurnUsageView::new(&TurnUsage { usage, cost_microusd }) }
    }
}

impl HitsView {
    pub(crate) fn new(hits: Hits) -> Self {
        let next = hits.next.map(|next| next.number());
        Self { hits: hits.hits.into_iter().map(HitView::new).collect(), next }
    }
}

impl HitView {
    fn new(Hit { session, stored, snippet }: Hit) -> Self {
        let StoredItem { seq, item } = stored;
        Self {
            session: session.to_string(),
            seq,
            offset: item.place.offset,
            role: role_word(item.role).to_owned(),
            kind: kind_word(item.kind).to_owned(),
            tool: item.tool,
            at: item.at.map(time_text),
            snippet: snippet.text,
            marks: snippet.marks,
        }
    }
}
