//! The shapes of Claude Code's lines, as far as anything follows from them.
//!
//! Source: the lines that version 2.1.197 prints, and the types of its SDK. Every field may be missing
//! or be of another type than today: it is then as if it were not there, so that a change in one of
//! them does not hide a whole line. Texts are borrowed from the line wherever no escape is in them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Elements that are read of any list, at most. What is beyond is skipped.
const ELEMENTS_MAX: usize = 4_096;

/// A line. One type for all of them, so that each is read once.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Line<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Word<'a>,
    #[serde(borrow)]
    pub(super) subtype: Word<'a>,
    #[serde(borrow)]
    pub(super) parent_tool_use_id: Word<'a>,
    #[serde(borrow)]
    pub(super) session_id: Word<'a>,
    // assistant, user
    #[serde(borrow)]
    pub(super) message: Object<Message<'a>>,
    #[serde(borrow)]
    pub(super) error: Word<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Word<'a>,
    #[serde(rename = "isReplay")]
    pub(super) is_replay: Flag,
    #[serde(rename = "isSynthetic")]
    pub(super) is_synthetic: Flag,
    // system
    #[serde(borrow)]
    pub(super) model: Word<'a>,
    #[serde(borrow)]
    pub(super) claude_code_version: Word<'a>,
    #[serde(borrow)]
    pub(super) task_id: Word<'a>,
    #[serde(borrow)]
    pub(super) status: Word<'a>,
    #[serde(borrow)]
    pub(super) patch: Object<Patch<'a>>,
    #[serde(borrow)]
    pub(super) summary: Word<'a>,
    #[serde(borrow)]
    pub(super) content: Word<'a>,
    pub(super) attempt: Number,
    pub(super) max_retries: Number,
    pub(super) retry_delay_ms: Number,
    pub(super) error_status: Number,
    // result
    pub(super) is_error: Flag,
    pub(super) api_error_status: Number,
    pub(super) num_turns: Number,
    pub(super) total_cost_usd: Number,
    #[serde(borrow)]
    pub(super) result: Word<'a>,
    #[serde(borrow)]
    pub(super) terminal_reason: Word<'a>,
    #[serde(borrow)]
    pub(super) errors: List<Word<'a>>,
    pub(super) usage: Object<Tokens>,
    #[serde(rename = "modelUsage")]
    pub(super) model_usage: TokensOfModels,
    // control_request, control_cancel_request, control_response, rate_limit_event
    #[serde(borrow)]
    pub(super) request_id: Word<'a>,
    #[serde(borrow)]
    pub(super) request: Object<Request<'a>>,
    #[serde(borrow)]
    pub(super) response: Object<Response<'a>>,
    #[serde(borrow)]
    pub(super) rate_limit_info: Object<RateLimit<'a>>,
}

/// What a user or the model says.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) model: Word<'a>,
    #[serde(borrow)]
    pub(super) content: Content<'a>,
}

/// What a message consists of, or what a tool has answered.
#[derive(Default)]
pub(super) enum Content<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Blocks(Vec<Object<Block<'a>>>),
}

/// One piece of a message.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Word<'a>,
    #[serde(borrow)]
    pub(super) text: Word<'a>,
    #[serde(borrow)]
    pub(super) thinking: Word<'a>,
    #[serde(borrow)]
    pub(super) id: Word<'a>,
    #[serde(borrow)]
    pub(super) name: Word<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_use_id: Word<'a>,
    pub(super) is_error: Flag,
    #[serde(borrow)]
    pub(super) content: Content<'a>,
}

/// What changes about a background task.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Patch<'a> {
    #[serde(borrow)]
    pub(super) status: Word<'a>,
}

/// Tokens of a turn.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub(super) input_tokens: Number,
    pub(super) cache_creation_input_tokens: Number,
    pub(super) cache_read_input_tokens: Number,
    pub(super) output_tokens: Number,
}

/// Tokens of the process so far, of all models together.
#[derive(Default)]
pub(super) struct TokensOfModels {
    pub(super) input_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) output_tokens: u64,
}

/// What a control request wants.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) subtype: Word<'a>,
    #[serde(borrow)]
    pub(super) tool_name: Word<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Word<'a>,
    #[serde(borrow)]
    pub(super) description: Word<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

/// An answer to a request of ours.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) subtype: Word<'a>,
    #[serde(borrow)]
    pub(super) error: Word<'a>,
}

/// Where a subscription's limit stands.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct RateLimit<'a> {
    #[serde(borrow)]
    pub(super) status: Word<'a>,
    #[serde(rename = "resetsAt")]
    pub(super) resets_at: Number,
    #[serde(borrow, rename = "rateLimitType")]
    pub(super) rate_limit_type: Word<'a>,
}

/// A text, if it is one.
#[derive(Default)]
pub(super) struct Word<'a>(Option<Cow<'a, str>>);

impl Word<'_> {
    pub(super) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Returns the text, or an empty one.
    pub(super) fn or_empty(&self) -> &str {
        self.as_str().unwrap_or_default()
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// A number, if it is one.
#[derive(Clone, Copy, Default)]
pub(super) struct Number(Option<f64>);

impl Number {
    pub(super) const fn get(self) -> Option<f64> {
        self.0
    }

    /// Returns it as a count: without a fraction, and 0 where there is none.
    pub(super) fn count(self) -> u64 {
        // What is negative or not a number becomes 0, and what is too large the largest count.
        self.0.unwrap_or_default() as u64
    }
}

/// Yes or no, if it is one of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Flag(Option<bool>);

impl Flag {
    pub(super) const fn get(self) -> Option<bool> {
        self.0
    }

    pub(super) fn is_set(self) -> bool {
        self.0 == Some(true)
    }
}

/// An object, or its default where something else stands.
#[derive(Default)]
pub(super) struct Object<T>(pub(super) T);

/// A list, or an empty one where something else stands.
#[derive(Default)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// The parts of a visitor that take values of some types for nothing.
macro_rules! for_nothing {
    ($($types:ident),*) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("anything")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        $(for_nothing!(@ $types);)*
    };
    (@ flags) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ numbers) => {
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ texts) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ lists) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            skip_rest(&mut elements)?;
            Ok(Self::Value::default())
        }
    };
    (@ objects) => {
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

fn skip_rest<'de, A: SeqAccess<'de>>(elements: &mut A) -> Result<(), A::Error> {
    while elements.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Reads at most [`ELEMENTS_MAX`] elements and skips the others.
fn elements<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut list: A) -> Result<Vec<T>, A::Error> {
    let mut elements = Vec::new();
    while elements.len() < ELEMENTS_MAX {
        let Some(element) = list.next_element()? else { return Ok(elements) };
        elements.push(element);
    }
    skip_rest(&mut list)?;
    Ok(elements)
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Word<'de>;

            for_nothing!(flags, numbers, lists, objects);

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Word(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Word(Some(Cow::Owned(text.to_owned()))))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = Number;

            for_nothing!(flags, texts, lists, objects);

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Number(Some(number as f64)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Number(Some(number as f64)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Number(Some(number)))
            }
        }

        deserializer.deserialize_any(Numbers)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Flags;

        impl<'de> Visitor<'de> for Flags {
            type Value = Flag;

            for_nothing!(numbers, texts, lists, objects);

            fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Flag(Some(flag)))
            }
        }

        deserializer.deserialize_any(Flags)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Objects<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Objects<T> {
            type Value = Object<T>;

            for_nothing!(flags, numbers, texts, lists);

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_any(Objects(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lists<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Lists<T> {
            type Value = List<T>;

            for_nothing!(flags, numbers, texts, objects);

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                elements(list).map(List)
            }
        }

        deserializer.deserialize_any(Lists(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Contents;

        impl<'de> Visitor<'de> for Contents {
            type Value = Content<'de>;

            for_nothing!(flags, numbers, objects);

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                elements(list).map(Content::Blocks)
            }
        }

        deserializer.deserialize_any(Contents)
    }
}

/// Sums over the models, whatever their names are.
impl<'de> Deserialize<'de> for TokensOfModels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct OfModel {
            input_tokens: Number,
            cache_creation_input_tokens: Number,
            cache_read_input_tokens: Number,
            output_tokens: Number,
        }

        struct Models;

        impl<'de> Visitor<'de> for Models {
            type Value = TokensOfModels;

            for_nothing!(flags, numbers, texts, lists);

            fn visit_map<A: MapAccess<'de>>(self, mut models: A) -> Result<Self::Value, A::Error> {
                let mut sum = TokensOfModels::default();
                while let Some((IgnoredAny, Object(model))) =
                    models.next_entry::<IgnoredAny, Object<OfModel>>()?
                {
                    let read = [model.input_tokens, model.cache_creation_input_tokens];
                    for number in read {
                        sum.input_tokens = sum.input_tokens.saturating_add(number.count());
                    }
                    let cached = model.cache_read_input_tokens.count();
                    sum.cached_tokens = sum.cached_tokens.saturating_add(cached);
                    let written = model.output_tokens.count();
                    sum.output_tokens = sum.output_tokens.saturating_add(written);
                }
                Ok(sum)
            }
        }

        deserializer.deserialize_any(Models)
    }
}
