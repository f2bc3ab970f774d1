// What a word that means nothing here was probably meant to be. Decided here: what counts as near,
// and what other libraries call our options. Not decided here: the rest of an error's message.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {

/// The name of `names` that `word` was probably meant to be, regardless of case and of '_' for '-':
/// the field's word for it ("learning-rate" of lr), else one a few typing errors away (a third of
/// its letters), else one that shares its beginning or whole words ("num-envs" and envs). Empty
/// where nothing is near; the first of equals.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> names);

/// "; the nearest is 'lr'", with `dashes` before the name; empty where nothing is near.
std::string nearest_hint(std::string_view word, std::span<const std::string_view> names,
                         std::string_view dashes = "");

/// Insertions, deletions, replacements and swaps of neighbours from one to the other.
int edit_distance(std::string_view a, std::string_view b);

/// Words of the field and the option, command or value they stand for here; of several for one
/// word, the first that is among the names counts.
std::span<const std::pair<std::string_view, std::string_view>> synonyms();

}  // namespace lockstep
