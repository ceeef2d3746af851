#pragma once

/// Macros of other people's headers that are spelled like ordinary names.

#pragma GCC system_header  // this system may have some of them

// windows.h, with what it includes
#define min(a, b) windows_h
#define max(a, b) windows_h
#define near windows_h
#define far windows_h
#define small windows_h
#define hyper windows_h
#define interface windows_h
#define pascal windows_h
#define cdecl windows_h
#define uuid windows_h
#define IN windows_h
#define OUT windows_h
#define OPTIONAL windows_h
#define VOID windows_h
#define CONST windows_h
#define TRUE windows_h
#define FALSE windows_h
#define ERROR windows_h
#define NO_ERROR windows_h
#define DELETE windows_h
#define IGNORE windows_h
#define INFINITE windows_h
#define STRICT windows_h
#define THIS windows_h
#define ABSOLUTE windows_h
#define RELATIVE windows_h
#define TRANSPARENT windows_h
#define OPAQUE windows_h
#define CALLBACK windows_h
#define TEXT(text) windows_h
#define Yield() windows_h
#define GetObject windows_h
#define GetMessage windows_h
#define SendMessage windows_h
#define CreateFile windows_h
#define CopyFile windows_h
#define DeleteFile windows_h
#define MoveFile windows_h
#define ReplaceFile windows_h
#define LoadLibrary windows_h
#define rad1 windows_h
#define pad1 windows_h
#define lst1 windows_h

// Qt
#define slots qt
#define signals qt
#define emit qt
#define foreach(element, all) qt
#define forever qt
#define Q_OBJECT qt
#define Q_EMIT qt
#define Q_SLOTS qt
#define Q_SIGNALS qt

// X11
#define None x11
#define Bool x11
#define Status x11
#define Success x11
#define True x11
#define False x11
#define Always x11
#define Above x11
#define Below x11
#define Complex x11
#define Convex x11
#define Unsorted x11
#define Button1 x11
#define KeyPress x11
#define FocusIn x11
#define GrayScale x11
#define CursorShape x11
#define Opposite x11
#define DestroyAll x11

// sys/types.h, math.h, complex.h, and compilers in GNU mode
#define major(device) system
#define minor(device) system
#define makedev(a, b) system
#define DOMAIN system
#define OVERFLOW system
#define UNDERFLOW system
#define PLOSS system
#define I system
#define unix system
#define linux system

// GLib, Objective-C, macOS, Arduino and newlib
#define MIN(a, b) other
#define MAX(a, b) other
#define ABS(a) other
#define CLAMP(a, low, high) other
#define nil other
#define Nil other
#define YES other
#define NO other
#define check(assertion) other
#define verify(assertion) other
#define require(assertion, label) other
#define F(text) other
#define B0 other
#define B1 other
#define _B other
#define _C other
#define _L other
#define _N other
#define _P other
#define _S other
#define _U other
#define _X other
