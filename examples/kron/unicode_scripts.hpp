#pragma once

/// The script that a character belongs to: Unicode 15.0.0's property Script. Written by
/// scripts/unicode_scripts from Scripts.txt, copyright Unicode, Inc., under the license in LICENSE.unicode.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace kron {

// clang-format off

/// The scripts' names; "Common" and "Inherited" are those of characters that several scripts share.
inline constexpr std::array<std::string_view, 164> script_names{
    "Adlam", "Ahom", "Anatolian Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum",
    "Bassa Vah", "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid",
    "Canadian Aboriginal", "Carian", "Caucasian Albanian", "Chakma", "Cham", "Cherokee", "Chorasmian",
    "Common", "Coptic", "Cuneiform", "Cypriot", "Cypro Minoan", "Cyrillic", "Deseret", "Devanagari",
    "Dives Akuru", "Dogra", "Duployan", "Egyptian Hieroglyphs", "Elbasan", "Elymaic", "Ethiopic", "Georgian",
    "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati", "Gunjala Gondi", "Gurmukhi", "Han", "Hangul",
    "Hanifi Rohingya", "Hanunoo", "Hatran", "Hebrew", "Hiragana", "Imperial Aramaic", "Inherited",
    "Inscriptional Pahlavi", "Inscriptional Parthian", "Javanese", "Kaithi", "Kannada", "Katakana", "Kawi",
    "Kayah Li", "Kharoshthi", "Khitan Small Script", "Khmer", "Khojki", "Khudawadi", "Lao", "Latin", "Lepcha",
    "Limbu", "Linear A", "Linear B", "Lisu", "Lycian", "Lydian", "Mahajani", "Makasar", "Malayalam",
    "Mandaic", "Manichaean", "Marchen", "Masaram Gondi", "Medefaidrin", "Meetei Mayek", "Mende Kikakui",
    "Meroitic Cursive", "Meroitic Hieroglyphs", "Miao", "Modi", "Mongolian", "Mro", "Multani", "Myanmar",
    "Nabataean", "Nag Mundari", "Nandinagari", "New Tai Lue", "Newa", "Nko", "Nushu",
    "Nyiakeng Puachue Hmong", "Ogham", "Ol Chiki", "Old Hungarian", "Old Italic", "Old North Arabian",
    "Old Permic", "Old Persian", "Old Sogdian", "Old South Arabian", "Old Turkic", "Old Uyghur", "Oriya",
    "Osage", "Osmanya", "Pahawh Hmong", "Palmyrene", "Pau Cin Hau", "Phags Pa", "Phoenician",
    "Psalter Pahlavi", "Rejang", "Runic", "Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham",
    "SignWriting", "Sinhala", "Sogdian", "Sora Sompeng", "Soyombo", "Sundanese", "Syloti Nagri", "Syriac",
    "Tagalog", "Tagbanwa", "Tai Le", "Tai Tham", "Tai Viet", "Takri", "Tamil", "Tangsa", "Tangut", "Telugu",
    "Thaana", "Thai", "Tibetan", "Tifinagh", "Tirhuta", "Toto", "Ugaritic", "Unknown", "Vai", "Vithkuqi",
    "Wancho", "Warang Citi", "Yezidi", "Yi", "Zanabazar Square"};

/// A character from which on, up to the next, all are of one script.
struct ScriptStart {
  char32_t first;
  std::uint8_t script;
};

inline constexpr ScriptStart script_starts[] = {
    {0x0,24}, {0x41,70}, {0x5B,24}, {0x61,70}, {0x7B,24}, {0xAA,70}, {0xAB,24}, {0xBA,70}, {0xBB,24},
    {0xC0,70}, {0xD7,24}, {0xD8,70}, {0xF7,24}, {0xF8,70}, {0x2B9,24}, {0x2E0,70}, {0x2E5,24}, {0x2EA,12},
    {0x2EC,24}, {0x300,55}, {0x370,43}, {0x374,24}, {0x375,43}, {0x37E,24}, {0x37F,43}, {0x385,24},
    {0x386,43}, {0x387,24}, {0x388,43}, {0x3E2,25}, {0x3F0,43}, {0x400,29}, {0x485,55}, {0x487,29}, {0x531,4},
    {0x591,52}, {0x600,3}, {0x605,24}, {0x606,3}, {0x60C,24}, {0x60D,3}, {0x61B,24}, {0x61C,3}, {0x61F,24},
    {0x620,3}, {0x640,24}, {0x641,3}, {0x64B,55}, {0x656,3}, {0x670,55}, {0x671,3}, {0x6DD,24}, {0x6DE,3},
    {0x700,138}, {0x750,3}, {0x780,149}, {0x7C0,101}, {0x800,126}, {0x840,81}, {0x860,138}, {0x870,3},
    {0x8E2,24}, {0x8E3,3}, {0x900,31}, {0x951,55}, {0x955,31}, {0x964,24}, {0x966,31}, {0x980,10}, {0xA01,46},
    {0xA81,44}, {0xB01,115}, {0xB82,145}, {0xC00,148}, {0xC80,60}, {0xD00,80}, {0xD81,132}, {0xE01,150},
    {0xE3F,24}, {0xE40,150}, {0xE81,69}, {0xF00,151}, {0xFD5,24}, {0xFD9,151}, {0x1000,95}, {0x10A0,39},
    {0x10FB,24}, {0x10FC,39}, {0x1100,48}, {0x1200,38}, {0x13A0,22}, {0x1400,17}, {0x1680,104}, {0x16A0,125},
    {0x16EB,24}, {0x16EE,125}, {0x1700,139}, {0x1720,50}, {0x1735,24}, {0x1740,16}, {0x1760,140}, {0x1780,66},
    {0x1800,92}, {0x1802,24}, {0x1804,92}, {0x1805,24}, {0x1806,92}, {0x18B0,17}, {0x1900,72}, {0x1950,141},
    {0x1980,99}, {0x19E0,66}, {0x1A00,15}, {0x1A20,142}, {0x1AB0,55}, {0x1B00,6}, {0x1B80,136}, {0x1BC0,9},
    {0x1C00,71}, {0x1C50,105}, {0x1C80,29}, {0x1C90,39}, {0x1CC0,136}, {0x1CD0,55}, {0x1CD3,24}, {0x1CD4,55},
    {0x1CE1,24}, {0x1CE2,55}, {0x1CE9,24}, {0x1CED,55}, {0x1CEE,24}, {0x1CF4,55}, {0x1CF5,24}, {0x1CF8,55},
    {0x1CFA,24}, {0x1D00,70}, {0x1D26,43}, {0x1D2B,29}, {0x1D2C,70}, {0x1D5D,43}, {0x1D62,70}, {0x1D66,43},
    {0x1D6B,70}, {0x1D78,29}, {0x1D79,70}, {0x1DBF,43}, {0x1DC0,55}, {0x1E00,70}, {0x1F00,43}, {0x2000,24},
    {0x200C,55}, {0x200E,24}, {0x2071,70}, {0x2074,24}, {0x207F,70}, {0x2080,24}, {0x2090,70}, {0x20A0,24},
    {0x20D0,55}, {0x2100,24}, {0x2126,43}, {0x2127,24}, {0x212A,70}, {0x212C,24}, {0x2132,70}, {0x2133,24},
    {0x214E,70}, {0x214F,24}, {0x2160,70}, {0x2189,24}, {0x2800,14}, {0x2900,24}, {0x2C00,40}, {0x2C60,70},
    {0x2C80,25}, {0x2D00,39}, {0x2D30,152}, {0x2D80,38}, {0x2DE0,29}, {0x2E00,24}, {0x2E80,47}, {0x2FF0,24},
    {0x3005,47}, {0x3006,24}, {0x3007,47}, {0x3008,24}, {0x3021,47}, {0x302A,55}, {0x302E,48}, {0x3030,24},
    {0x3038,47}, {0x303C,24}, {0x3041,53}, {0x3099,55}, {0x309B,24}, {0x309D,53}, {0x30A0,24}, {0x30A1,61},
    {0x30FB,24}, {0x30FD,61}, {0x3105,12}, {0x3131,48}, {0x3190,24}, {0x31A0,12}, {0x31C0,24}, {0x31F0,61},
    {0x3200,48}, {0x3220,24}, {0x3260,48}, {0x327F,24}, {0x32D0,61}, {0x32FF,24}, {0x3300,61}, {0x3358,24},
    {0x3400,47}, {0x4DC0,24}, {0x4E00,47}, {0xA000,162}, {0xA4D0,75}, {0xA500,157}, {0xA640,29}, {0xA6A0,7},
    {0xA700,24}, {0xA722,70}, {0xA788,24}, {0xA78B,70}, {0xA800,137}, {0xA830,24}, {0xA840,121}, {0xA880,127},
    {0xA8E0,31}, {0xA900,63}, {0xA92E,24}, {0xA92F,63}, {0xA930,124}, {0xA960,48}, {0xA980,58}, {0xA9CF,24},
    {0xA9D0,58}, {0xA9E0,95}, {0xAA00,21}, {0xAA60,95}, {0xAA80,143}, {0xAAE0,86}, {0xAB01,38}, {0xAB30,70},
    {0xAB5B,24}, {0xAB5C,70}, {0xAB65,43}, {0xAB66,70}, {0xAB6A,24}, {0xAB70,22}, {0xABC0,86}, {0xAC00,48},
    {0xD7FC,156}, {0xF900,47}, {0xFB00,70}, {0xFB13,4}, {0xFB1D,52}, {0xFB50,3}, {0xFD3E,24}, {0xFD40,3},
    {0xFE00,55}, {0xFE10,24}, {0xFE20,55}, {0xFE2E,29}, {0xFE30,24}, {0xFE70,3}, {0xFEFF,24}, {0xFF21,70},
    {0xFF3B,24}, {0xFF41,70}, {0xFF5B,24}, {0xFF66,61}, {0xFF70,24}, {0xFF71,61}, {0xFF9E,24}, {0xFFA0,48},
    {0xFFE0,24}, {0x10000,74}, {0x10100,24}, {0x10140,43}, {0x10190,24}, {0x101A0,43}, {0x101D0,24},
    {0x101FD,55}, {0x10280,76}, {0x102A0,18}, {0x102E0,55}, {0x102E1,24}, {0x10300,107}, {0x10330,41},
    {0x10350,109}, {0x10380,155}, {0x103A0,110}, {0x10400,30}, {0x10450,129}, {0x10480,117}, {0x104B0,116},
    {0x10500,36}, {0x10530,19}, {0x10570,158}, {0x10600,73}, {0x10780,70}, {0x10800,27}, {0x10840,54},
    {0x10860,119}, {0x10880,96}, {0x108E0,51}, {0x10900,122}, {0x10920,77}, {0x10980,89}, {0x109A0,88},
    {0x10A00,64}, {0x10A60,112}, {0x10A80,108}, {0x10AC0,82}, {0x10B00,5}, {0x10B40,57}, {0x10B60,56},
    {0x10B80,123}, {0x10C00,113}, {0x10C80,106}, {0x10D00,49}, {0x10D3A,156}, {0x10E60,3}, {0x10E80,161},
    {0x10EFD,3}, {0x10F00,111}, {0x10F30,133}, {0x10F70,114}, {0x10FB0,23}, {0x10FE0,37}, {0x11000,13},
    {0x11080,59}, {0x110D0,134}, {0x11100,20}, {0x11150,78}, {0x11180,128}, {0x111E1,132}, {0x11200,67},
    {0x11280,94}, {0x112B0,68}, {0x11300,42}, {0x1133B,55}, {0x1133C,42}, {0x11400,100}, {0x11480,153},
    {0x11580,130}, {0x11600,91}, {0x11660,92}, {0x11680,144}, {0x11700,1}, {0x11800,33}, {0x118A0,160},
    {0x11900,32}, {0x119A0,98}, {0x11A00,163}, {0x11A50,135}, {0x11AB0,17}, {0x11AC0,120}, {0x11B00,31},
    {0x11C00,11}, {0x11C70,83}, {0x11D00,84}, {0x11D60,45}, {0x11DAA,156}, {0x11EE0,79}, {0x11F00,62},
    {0x11FB0,75}, {0x11FC0,145}, {0x12000,26}, {0x12544,156}, {0x12F90,28}, {0x13000,35}, {0x13456,156},
    {0x14400,2}, {0x14647,156}, {0x16800,7}, {0x16A40,93}, {0x16A70,146}, {0x16AD0,8}, {0x16B00,118},
    {0x16B90,156}, {0x16E40,85}, {0x16F00,90}, {0x16FE0,147}, {0x16FE1,102}, {0x16FE2,47}, {0x16FE4,65},
    {0x16FF0,47}, {0x17000,147}, {0x18B00,65}, {0x18D00,147}, {0x18D09,156}, {0x1AFF0,61}, {0x1B001,53},
    {0x1B120,61}, {0x1B132,53}, {0x1B155,61}, {0x1B170,102}, {0x1B2FC,156}, {0x1BC00,34}, {0x1BCA0,24},
    {0x1BCA4,156}, {0x1CF00,55}, {0x1CF50,24}, {0x1D167,55}, {0x1D16A,24}, {0x1D17B,55}, {0x1D183,24},
    {0x1D185,55}, {0x1D18C,24}, {0x1D1AA,55}, {0x1D1AE,24}, {0x1D200,43}, {0x1D2C0,24}, {0x1D800,131},
    {0x1DAB0,156}, {0x1DF00,70}, {0x1E000,40}, {0x1E030,29}, {0x1E100,103}, {0x1E150,156}, {0x1E290,154},
    {0x1E2C0,159}, {0x1E300,156}, {0x1E4D0,97}, {0x1E4FA,156}, {0x1E7E0,38}, {0x1E800,87}, {0x1E900,0},
    {0x1E960,156}, {0x1EC71,24}, {0x1EE00,3}, {0x1EEF2,156}, {0x1F000,24}, {0x1F200,53}, {0x1F201,24},
    {0x1FBFA,156}, {0x20000,47}, {0x2EBE1,156}, {0x2F800,47}, {0x2FA1E,156}, {0x30000,47}, {0x323B0,156},
    {0xE0001,24}, {0xE0100,55}, {0xE01F0,156}};

// clang-format on

/// The place of a character's script in `script_names`. O(log n).
constexpr std::size_t script_of(char32_t character) {
  const auto next = std::upper_bound(std::begin(script_starts), std::end(script_starts), character,
                                     [](char32_t c, const ScriptStart& start) { return c < start.first; });
  return std::prev(next)->script;
}

}  // namespace kron
