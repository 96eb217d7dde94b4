"""The figures and plants of the sketch provider, written down as shapes.

A drawing starts with its name; a figure's name is followed by where it stands, its height as a share of
the picture's short side and its usual colours. The indented lines hold shapes, back to front, parted by
semicolons. Each is a shape, a paint and numbers; it stands on y = 0 with its middle at x = 0, y grows
upward and 100 is the drawing's nominal height.

    curve paint x y ...      a closed smooth outline; a point given twice is a corner
    poly paint x y ...       a closed outline of straight lines
    oval paint x y rx ry
    box paint x0 y0 x1 y1    and `pill`, the same with round corners
    line paint width x y ...
    use name                 all shapes of another drawing

The paint `main` is the figure's own colour, and `shade`, `light`, `pale` and `eye` follow from it; PAINTS
holds the others.
"""

from __future__ import annotations

from dataclasses import dataclass

PAINTS = """
ink #262633 white #fbf8f1 glow #ffd98a wood #7a5138 stone #cfc8bd dusk #8f8a8c steel #aab4bf flame
#ff9d3c beak #f0a030 blush #f2a0a0 glass #9fd3e6 leaf #4c8a50 skin #e9b891 hair #4a3430
"""

DRAWINGS = """
seated
  curve main -14 0 -20 12 -17 30 -10 52 10 52 17 30 20 12 14 0; oval shade -14 9 9 10; oval shade 14 9 9 10
  oval main -13 8 8 9; oval main 13 8 8 9
forelegs
  curve main -9 1.5 -9 28 -1 28 -1 1.5; curve main 1 1.5 1 28 9 28 9 1.5; line shade 0.8 0 1 0 26
pine
  box wood -2.2 0 2.2 16; poly main -23 10 0 46 23 10 0 7.5; poly shade 0 46 23 10 0 7.5
  poly main -18.2 30 0 66 18.2 30 0 27.5; poly shade 0 66 18.2 30 0 27.5
  poly main -13.3 50 0 86 13.3 50 0 47.5; poly shade 0 86 13.3 50 0 47.5
  poly main -8.5 70 0 100 8.5 70 0 67.5; poly shade 0 100 8.5 70 0 67.5
snowy-pine
  box wood -2.2 0 2.2 16; poly main -23 10 0 46 23 10 0 7.5; poly shade 0 46 23 10 0 7.5
  poly white -20.2 11.4 -11.5 25.8 -4.6 24.4 -8.3 20.8 -10.1 15.8 -13.8 17.2
  poly white 20.2 11.4 11.5 25.8 4.6 24.4 8.3 20.8 10.1 15.8 13.8 17.2
  poly main -18.2 30 0 66 18.2 30 0 27.5; poly shade 0 66 18.2 30 0 27.5
  poly white -16 31.4 -9.1 45.8 -3.6 44.4 -6.5 40.8 -8 35.8 -10.9 37.2
  poly white 16 31.4 9.1 45.8 3.6 44.4 6.5 40.8 8 35.8 10.9 37.2; poly main -13.3 50 0 86 13.3 50 0 47.5
  poly shade 0 86 13.3 50 0 47.5; poly white -11.7 51.4 -6.7 65.8 -2.7 64.4 -4.8 60.8 -5.9 55.8 -8 57.2
  poly white 11.7 51.4 6.7 65.8 2.7 64.4 4.8 60.8 5.9 55.8 8 57.2; poly main -8.5 70 0 100 8.5 70 0 67.5
  poly shade 0 100 8.5 70 0 67.5; poly white -7.5 71.2 -4.3 83.2 -1.7 82 -3.1 79 -3.7 74.8 -5.1 76
  poly white 7.5 71.2 4.3 83.2 1.7 82 3.1 79 3.7 74.8 5.1 76
  poly white -4.6 83 0 99 4.6 83 2.1 86 0 81 -2.1 86
leafy
  poly wood -2.6 0 -1.4 50 1.4 50 2.6 0; oval main -14 36 14 14; oval main 14 39 13 13; oval main 0 58 22 23
  oval light 8 64 11 11; oval light 17 42 6 6
palm
  line wood 4 0 0 2 24 6 48 12 64 18 80
  poly main 18 80 25 79 32 77 39 72 46 66 53 57 60 46 53 53 46 59 39 65 32 70 25 76
  poly shade 18 80 24 82 30 83 36 81 42 78 48 72 54 64 48 68 42 71 36 74 30 76
  poly main 18 80 21 84 25 87 28 88 32 86 35 83 38 77 35 79 32 80 28 80 25 81
  poly main 18 80 15 84 11 87 8 88 4 86 1 83 -2 77 1 79 4 80 8 80 11 81
  poly shade 18 80 12 82 6 83 0 81 -6 78 -12 72 -18 64 -12 68 -6 71 0 74 6 76
  poly main 18 80 11 79 4 77 -3 72 -10 66 -17 57 -24 46 -17 53 -10 59 -3 65 4 70 11 76
cactus
  line shade 7 0 21 -15 21 -15 42; line shade 7 0 15 15 15 15 34; line main 9 0 0 0 55
  line shade 1.2 2 2 2 54
fox ground 0.3 #dd6a2c
  curve main 8 2 30 0 50 10 54 30 44 47 38 51 38 51 34 40 34 28 26 20 10 16
  curve white 38.5 55.5 38.5 55.5 46 48.5 54.2 34 47 36 42 34 37 38 33.4 40; use seated; use forelegs
  curve ink -9.5 0 -9.5 11 -5 14 -0.5 11 -0.5 0; curve ink 0.5 0 0.5 11 5 14 9.5 11 9.5 0
  curve white 0 18 0 18 -8 32 -12 50 12 50 8 32; poly main -24 68 -25 102 -2 83; poly main 24 68 25 102 2 83
  poly ink -20.5 76 -21.5 94 -10 83.5; poly ink 20.5 76 21.5 94 10 83.5
  curve main -26.5 62.5 -26.5 62.5 -22 77 -9 85.5 9 85.5 22 77 26.5 62.5 26.5 62.5 12 52 0 45 -12 52
  curve white -29 61.6 -29 61.6 -18 67 -8 64 0 56 8 64 18 67 29 61.6 29 61.6 12 51.6 0 44.5 -12 51.6
  oval ink -10 68 2.4 3; oval ink 10 68 2.4 3; oval white -9.3 69 0.8 0.9; oval white 10.7 69 0.8 0.9
  curve ink -4 51 0 53 4 51 0 46
cat ground 0.27 #8b8f99 #e0a15a #3a3b45 #c9b79c
  line main 8 14 5 24 5 31 8 36 14 38 22 38 30 40 37 44 41 48 42; line shade 8 44 41 48 42
  use seated; use forelegs
  curve pale 0 22 0 22 -8 36 -7 50 7 50 8 36; oval pale -5 2.5 5 3.5; oval pale 5 2.5 5 3.5
  poly main -21 66 -20 94 -3 82; poly main 21 66 20 94 3 82; poly blush -17 74 -17 88 -8 81
  poly blush 17 74 17 88 8 81; curve main -23 64 -19 78 0 84 19 78 23 64 14 52 0 49 -14 52
  poly shade -2 83 2 83 0 74; poly shade -9 82 -5 83 -5.5 76; poly shade 9 82 5 83 5.5 76
  oval pale -4.5 57 6 5; oval pale 4.5 57 6 5; oval eye -10 67 3.6 4; oval eye 10 67 3.6 4
  oval ink -10 67 1.5 3.8; oval ink 10 67 1.5 3.8; poly blush -2.6 61.5 2.6 61.5 0 58.5
  line white 0.6 -13 59 -30 62; line white 0.6 -13 57 -30 56; line white 0.6 13 59 30 62
  line white 0.6 13 57 30 56
dog ground 0.29 #b9834f #d9b07a #6b4a3a
  line main 8 14 8 28 14 34 30; use seated; use forelegs; curve pale 0 20 0 20 -9 36 -8 50 8 50 9 36
  oval pale -5 2.5 5 3.5; oval pale 5 2.5 5 3.5; box blush -11 44 11 49
  curve main -20 66 -17 82 0 88 17 82 20 66 12 52 0 48 -12 52
  curve pale -3 86 3 86 4 72 11 60 8 51 0 47 -8 51 -11 60 -4 72
  curve shade -14 84 -24 82 -29 66 -26 54 -20 56 -16 70; curve shade 14 84 24 82 29 66 26 54 20 56 16 70
  oval ink -9 70 2.5 3; oval ink 9 70 2.5 3; oval white -8.3 71 0.8 0.9; oval white 9.7 71 0.8 0.9
  curve ink -5 63 0 65 5 63 0 57; line ink 1 0 58 0 54; curve blush -3 54 3 54 3 48 0 46 -3 48
bear ground 0.34 #7a5238 #5e4234
  curve main -24 0 -30 20 -24 46 -10 58 10 58 24 46 30 20 24 0; oval light 0 26 17 20; oval main -17 5 12 8
  oval main 17 5 12 8; oval light -17 5 6 4.5; oval light 17 5 6 4.5
  curve shade -22 48 -32 34 -30 22 -22 26 -17 40; curve shade 22 48 32 34 30 22 22 26 17 40
  oval main -17 86 8 8; oval main 17 86 8 8; oval light -17 86 4.5 4.5; oval light 17 86 4.5 4.5
  oval main 0 72 25 21; oval pale 0 65 11 9; oval ink -10 75 2.3 2.8; oval ink 10 75 2.3 2.8
  oval ink 0 69 4 2.8; line ink 1 0 67 0 62
rabbit ground 0.25 #b9a08a #e9e2d8 #8d8079
  oval white 22 12 7 7; use seated; use forelegs; oval pale -9 3 8 4; oval pale 9 3 8 4
  curve pale 0 16 0 16 -8 32 -7 44 7 44 8 32; curve main -14 66 -18 88 -13 106 -6 92 -4 70
  curve main 14 66 20 86 17 104 8 92 4 70; curve blush -12 74 -14 88 -12 99 -8 90 -7 74
  curve blush 12 74 15 86 15 97 10 90 7 74; oval main 0 60 20 18; oval pale -5 52 7 6; oval pale 5 52 7 6
  oval ink -10 63 2.3 3.2; oval ink 10 63 2.3 3.2; poly blush -2.6 57 2.6 57 0 53.5
owl ground 0.25 #8a6446 #6f7a8f
  poly main -23 74 -23 98 -4 86; poly main 23 74 23 98 4 86
  curve main -24 70 -20 88 0 92 20 88 24 70 26 36 14 6 0 2 -14 6 -26 36
  curve shade -23 62 -32 40 -24 14 -14 10 -17 40; curve shade 23 62 32 40 24 14 14 10 17 40
  curve pale -14 52 14 52 15 30 0 7 -15 30; line shade 1.6 -9 42 -5 38 -1 42; line shade 1.6 1 42 5 38 9 42
  line shade 1.6 -5 31 0 27 5 31; line shade 1.6 -9 22 -5 18 -1 22; line shade 1.6 1 22 5 18 9 22
  oval light -11 70 13 13; oval light 11 70 13 13; oval white -11 70 9 9; oval white 11 70 9 9
  oval ink -10 70 5 5.5; oval ink 10 70 5 5.5; oval white -8 72 1.6 1.8; oval white 12 72 1.6 1.8
  poly beak -4 65 4 65 0 55; oval beak -7 2 5 2.5; oval beak 7 2 5 2.5
penguin ground 0.27 #2f3547
  oval beak -9 2 9 3; oval beak 9 2 9 3; curve main -20 66 -17 90 0 99 17 90 20 66 27 34 20 4 0 1 -20 4 -27 34
  curve main -19 66 -34 40 -37 24 -28 28 -20 46; curve main 19 66 34 40 37 24 28 28 20 46
  curve white 0 70 -15 62 -19 34 -13 6 13 6 19 34 15 62; oval white -8 76 9 11; oval white 8 76 9 11
  oval ink -7 78 2.4 3; oval ink 7 78 2.4 3; poly beak -5 73 5 73 0 65; oval blush -14 71 3 2
  oval blush 14 71 3 2
bird sky 0.17 #4a8fc0 #d9573f #f2f0ea #e2b13c
  poly shade -30 52 -66 62 -60 52 -66 40; curve shade 2 60 14 84 34 104 44 106 32 78 22 56
  curve main -34 52 -10 42 16 40 36 50 44 62 36 72 22 70 6 64 -14 62
  curve pale -18 50 0 42 18 41 34 50 20 54 0 52; curve light 12 60 -2 84 -26 106 -40 112 -36 96 -26 74 -12 58
  curve main 12 58 0 74 -16 88 -30 92 -24 76 -12 58; poly beak 42 66 54 60 42 57; oval ink 36 64 2 2.2
fish water 0.24 #ee7f3a #5aa7c9
  curve main -8 28 -8 28 -34 30 -30 20 -22 16 -32 2 -18 4 -8 16 -4 22 -4 22
  curve main -10 18 -16 44 0 72 26 80 36 66 32 44 14 24; curve pale 36 66 32 44 14 24 -8 18 6 34 20 52
  curve shade -14 50 -28 66 -14 78 2 72; curve shade 12 26 26 14 34 22 26 36; line shade 2.4 18 78 20 66 30 54
  oval white 26 68 4.6 4.6; oval ink 27 68 2.6 2.8; line shade 1.2 -4 34 2 40; line shade 1.2 2 46 8 52
  line shade 1.2 -6 46 -2 54; oval glass -36 4 3 3; oval glass -24 -3 4 3; oval glass 4 6 3.4 3.4
  oval glass 16 -1 3 3
whale water 0.3 #3d6f96 #55708a
  curve white 16 62 10 80 -2 84 -6 76 6 78 13 62; curve white 18 62 24 80 36 84 40 76 28 78 21 62
  curve main 66 0 68 24 54 48 24 60 -14 52 -44 24 -60 24 -60 24 -62 0
  curve main -52 20 -62 34 -82 44 -84 34 -70 24 -60 12; curve main -54 20 -52 42 -60 58 -50 60 -40 44 -42 20
  curve pale 67 8 66 0 0 0 16 10 40 16; line shade 1.2 30 4 44 10; line shade 1.2 40 3 54 8
  oval ink 44 28 2.6 2.8; oval white 44.8 29 0.9 0.9; curve shade 8 0 4 14 18 18 26 4
duck water 0.15 #f0c64a #f4f2ec #7f6a55
  curve main -50 30 -40 6 -14 0 24 0 40 18 36 36 14 40 -18 32 -48 46 -48 46; oval main 26 66 21 20
  curve main 10 34 12 54 38 54 40 28; curve shade -28 28 -22 12 4 8 18 22 8 30
  curve beak 44 70 62 64 62 58 44 56; oval ink 32 72 3 3.4
boat water 0.36 #c8443a #2f6f94 #e0a040
  box wood -1.4 14 1.4 100; poly white -3 96 -3 24 -36 24; poly light 4 90 4 26 32 26
  poly pale -3 56 -3 44 -25.8 44 -19.8 56; poly main 1.4 100 1.4 92 16 96
  curve main -46 18 -46 18 46 18 46 18 34 2 26 -1 -26 -1 -34 2
  curve shade -40 9 -40 9 40 9 40 9 34 2 26 -1 -26 -1 -34 2; box white -44 15 44 18
house far 0.24 #b8493c #4f6d8f #6d5a52
  box dusk 18 62 28 94; box white -36 0 36 50; box stone 8 0 36 50; box stone -37 0 37 4
  poly main -46 48 -30 84 30 84 46 48; poly shade 8 48 30 84 46 48; box wood -8 0 6 30; oval glow 3 14 1 1
  box glow -29 20 -15 38; box glow 14 20 28 38; line wood 1.2 -22 20 -22 38; line wood 1.2 -29 29 -15 29
  line wood 1.2 21 20 21 38; line wood 1.2 14 29 28 29; oval white 24 102 5 4; oval white 29 111 7 5
  oval white 37 121 9 6
castle far 0.42 #4b6c9e #a8483f #6b5590
  poly main -30 78 -21 104 -12 78; poly main 12 70 20 94 28 70; box stone -28 20 -14 78; box stone 14 20 26 70
  box dusk 20 20 26 70; box stone -12 30 12 84; box dusk 4 30 12 84; poly main -16 84 0 122 16 84
  poly shade 3 84 0 122 16 84; box stone -46 0 46 36
  poly stone -46 36 -46 41 -40 41 -40 36 -34 36 -34 41 -28 41 -28 36
  poly stone 28 36 28 41 34 41 34 36 40 36 40 41 46 41 46 36
  box stone -54 0 -38 54; box stone 38 0 54 54; box dusk 47 0 54 54; poly main -57 54 -46 80 -35 54
  poly main 35 54 46 80 57 54; poly shade 48 54 46 80 57 54; curve ink -9 0 -9 0 -9 16 0 24 9 16 9 0 9 0
  curve glow -3 60 -3 60 -3 68 0 71 3 68 3 60 3 60; box glow -23 60 -19 68; box glow 18 54 21 61
  box glow -48 32 -44 41; box glow 44 32 48 41; box glow -26 18 -22 25; box glow 22 18 26 25
  line ink 0.8 0 122 0 134; poly main 0 134 0 127 13 130
lighthouse far 0.42 #c8443a #2f5f8f
  curve dusk -30 -4 -24 6 0 9 26 5 34 -4; poly white -14 4 -8 76 8 76 14 4
  poly main -13.2 14 -11.7 32 11.7 32 13.2 14; poly main -10.6 46 -9.2 62 9.2 62 10.6 46
  poly shade 5 14 4.6 32 11.7 32 13.2 14; poly shade 4.2 46 3.8 62 9.2 62 10.6 46; box ink -12 76 12 79
  box glow -7 79 7 92; line ink 1 -7 79 -7 92; line ink 1 0 79 0 92; line ink 1 7 79 7 92
  curve main -10 92 -10 92 -6 100 0 103 6 100 10 92 10 92; curve ink -4 5 -4 5 -4 12 0 15 4 12 4 5 4 5
windmill far 0.3 #c8654a #5b7fa0
  poly white -20 0 -12 62 12 62 20 0; poly stone 4 0 3 62 12 62 20 0
  curve main -14 60 -14 60 -10 74 0 80 10 74 14 60 14 60; curve wood -6 0 -6 0 -6 14 0 20 6 14 6 0 6 0
  box glow -4 36 4 46; poly pale 0 66 28 102 36 95 6 64; poly pale 0 66 36 38 29 30 -2 60
  poly pale 0 66 -28 30 -36 37 -6 68; poly pale 0 66 -36 94 -29 102 2 72; line wood 1.6 -34 31 34 101
  line wood 1.6 35 32 -35 100; oval ink 0 66 3 3
tree ground 0.62 #4f9154 #5f9d5a
  curve wood -9 0 -5 12 -4 40 -16 54 -12 56 0 46 14 58 17 55 5 40 6 12 11 0; oval shade -24 58 18 15
  oval shade 24 60 18 15; oval main -16 72 21 18; oval main 17 74 21 18; oval main 0 62 19 14
  oval main 0 86 22 17; oval light -8 90 11 8; oval light 16 80 9 6; oval light -20 76 8 6
flower ground 0.4 #e0527a #f2c14e #8f63c9
  line leaf 3 0 0 3 30 0 66; curve leaf 1 14 1 14 14 34 32 36 32 36 22 18
  curve leaf 2 24 2 24 -12 40 -28 40 -28 40 -20 26; oval shade -14 86 11 11; oval shade 14 86 11 11
  oval shade 0 62 11 11; oval main 0 94 12 12; oval main -17 74 12 12; oval main 17 74 12 12
  oval main -10 64 11 11; oval main 10 64 11 11; oval light 0 78 15 15; oval glow 0 78 9 9; oval beak 0 77 5 5
mushroom ground 0.24 #cf3b34 #b8744a
  curve white -12 0 -10 26 -8 50 8 50 10 26 12 0; curve stone 3 0 4 26 3 50 8 50 10 26 12 0
  curve main -46 48 -46 48 -40 74 -20 92 0 97 20 92 40 74 46 48 46 48 20 41 -20 41
  curve pale -46 48 -46 48 -20 55 20 55 46 48 46 48 20 41 -20 41; oval white -4 80 9 7
  oval white -26 67 6 5.5; oval white 23 70 7 6; oval white 9 63 4 3.4; oval white 37 58 3 3
robot ground 0.33 #5fa3b0 #d98850 #a9b4bf
  box steel -14 2 -5 24; box steel 5 2 14 24; curve main -20 0 -20 0 -18 8 -4 8 -2 0 -2 0
  curve main 20 0 20 0 18 8 4 8 2 0 2 0; line steel 6 -22 50 -34 38 -32 24; line steel 6 22 50 36 58 40 72
  oval main -32 22 6 6; oval main 40 74 6 6; pill main -23 20 23 58; pill shade -14 28 14 48
  oval glow -6 40 3.4 3.4; oval blush 6 40 3.4 3.4; line steel 1.6 -8 33 8 33; box steel -5 57 5 64
  line steel 1.6 0 94 0 104; oval flame 0 105 4 4; pill steel -33 72 -24 84; pill steel 24 72 33 84
  pill main -28 62 28 95; pill ink -22 69 22 89; oval glass -10 80 5 5; oval glass 10 80 5 5
  oval white -9 81.5 1.6 1.6; oval white 11 81.5 1.6 1.6; line glass 1.4 -6 73 0 71.5 6 73
person ground 0.32 #d4543f #e0a43a #3f7f9f
  line ink 7 -5 2 -6 40; line ink 7 7 2 5 40; pill hair -11 0 0 7; pill hair 2 0 13 7
  curve main -13 34 -15 60 -9 76 9 76 15 60 13 34; line main 6 -12 68 -21 54 -22 42
  line main 6 12 68 22 56 26 50; oval skin -22 40 3.4 3.4; oval skin 27 49 3.4 3.4; line wood 1.6 28 0 26 62
  pill wood -11 42 11 70; pill hair -8 45 8 56; pill leaf -13 69 13 76; oval skin 0 86 9 10
  curve hair -10 84 -10 96 0 99 10 96 10 84 0 80; curve main -11 88 -9 99 0 103 9 99 11 88 0 91
astronaut ground 0.34 #f0efe9
  pill steel -23 32 23 72; line main 11 -8 6 -9 36; line main 11 8 6 9 36; pill shade -16 0 -1 9
  pill shade 1 0 16 9; line main 10 -17 62 -28 50 -26 36; line main 10 17 62 32 68 38 82
  oval flame -26 34 5 5; oval flame 39 84 5 5; pill main -20 28 20 70; pill steel -9 44 9 56
  oval flame -4 50 2 2; oval glass 4 50 2 2; oval main 0 84 21 20; pill ink -15 73 15 95
  pill glass -11 84 -4 92; line shade 2 -19 34 19 34
rocket sky 0.36 #d0453c #3a6fc4
  curve glow 0 -44 -6 -24 -10 0 10 0 6 -24; curve flame 0 -28 -5 -14 -6 2 6 2 5 -14
  poly shade -12 30 -28 2 -26 -4 -9 8; poly shade 12 30 28 2 26 -4 9 8
  curve white 0 104 0 104 -14 80 -17 50 -12 12 -8 2 8 2 12 12 17 50 14 80
  curve stone 0 104 0 104 5 80 6 50 4 2 8 2 12 12 17 50 14 80
  curve main 0 104 0 104 -9 92 -14 78 0 75 14 78 9 92; curve main -11 13 -9 2 9 2 11 13 0 11
  oval main 0 56 9.5 9.5; oval glass 0 56 6.8 6.8; oval white -2 58.5 2 2; poly main -2.5 26 2.5 26 2 -4 -2 -4
balloon sky 0.36 #d9503f #e8a33a #3f86b0
  line ink 0.7 -14 36 -6 14; line ink 0.7 14 36 6 14; pill wood -7 2 7 14; box hair -8 11.5 8 14.5
  curve main 0 100 -26 92 -36 68 -28 46 -12 30 12 30 28 46 36 68 26 92
  curve white 0 100 -20 90 -25 68 -20 46 -8 30 8 30 20 46 25 68 20 90
  curve main 0 100 -10 90 -13 68 -10 46 -4 30 4 30 10 46 13 68 10 90
  curve shade 0 100 20 92 30 70 22 46 9 30 12 30 28 46 36 68 26 92
ufo sky 0.26 #8f9bb0
  curve glass -20 58 -20 58 -16 78 0 86 16 78 20 58 20 58; oval main 0 52 52 15; oval shade 0 46 40 9
  oval glow -32 52 4 3; oval glow -11 46 4 3; oval glow 11 46 4 3; oval glow 32 52 4 3; oval white -7 72 3 5
snowman ground 0.32 #c8443a
  line wood 1.8 -18 46 -40 60; line wood 1.8 18 46 40 62; oval white 0 20 25 22; oval white 0 50 19 17
  oval white 0 74 14 13; oval ink 0 54 1.8 1.8; oval ink 0 46 1.8 1.8; oval ink -5 77 1.8 2
  oval ink 5 77 1.8 2; poly beak 0 74 0 70 -15 70; curve main -13 66 0 61 13 66 14 61 0 56 -14 61
  poly main 6 62 14 60 17 42 9 42; box ink -16 84 16 87; box ink -11 86 11 102; box main -11 87 11 91
tent ground 0.24 #e08a3c #c8543f #4f8f8a
  line wood 1.4 -4 78 3 70; line wood 1.4 4 78 -3 70; poly main -52 0 0 74 30 74 66 0
  poly shade 0 74 30 74 66 0 44 0; poly light 0 74 -52 0 44 0; poly glow 0 62 -22 0 18 0
  poly pale 0 62 -22 0 -9 0; poly pale 0 62 18 0 8 0
car ground 0.2 #d4583f #4f9fa8 #e8b84a
  curve main -46 36 -46 36 -32 64 -22 70 18 70 28 62 40 38 40 38; poly glass -36 40 -26 63 -4 63 -4 40
  poly glass 1 40 1 63 17 63 31 40; curve main -68 14 -70 34 -60 42 44 42 66 36 72 26 70 14
  box shade -68 12 70 20; box white -69 26 72 29; oval glow 68 31 3 4; oval ink -40 13 14 14
  oval ink 40 13 14 14; oval steel -40 13 7 7; oval steel 40 13 7 7
deer ground 0.42 #a8693f #8a5a3c
  line wood 2 27 86 22 98 24 112; line wood 1.6 23 97 14 106; line wood 2 31 86 40 96 42 110
  line wood 1.6 38 94 50 102; line shade 4 -17 34 -21 18 -18 1; line shade 4 14 34 17 18 15 1
  curve main -30 52 -26 60 0 58 14 60 22 70 22 84 30 88 38 82 47 76 45 71 34 70 29 56 20 40 0 38 -18 36 -29 40
  curve main -28 50 -28 36 -18 26 -16 36 -12 44; line main 4.5 -23 38 -28 20 -26 1
  line main 4.5 20 42 23 20 22 1; curve white -30 50 -34 56 -30 60 -26 56
  curve pale 29 56 20 40 14 42 22 52 27 66; curve main 24 84 14 90 12 96 22 92 28 86; oval ink 35 80 1.6 1.8
  oval ink 46 74 1.8 1.6; oval light -12 53 2 1.6; oval light -4 50 2 1.6; oval light -18 49 2 1.6
  oval light 4 54 2 1.6
horse ground 0.4 #7a4a33 #e9e4dc #4a3b38
  curve shade -34 56 -46 48 -48 26 -42 14 -38 30 -32 46; line shade 5 -20 34 -24 18 -20 2
  line shade 5 14 36 20 20 16 2
  curve main -36 52 -30 62 0 58 14 62 24 78 30 94 36 92 50 80 52 74 46 71 36 76 32 62 24 42 0 38 -20 36 -34 40
  curve main -34 50 -34 36 -24 24 -18 34 -12 46; line main 6 -28 38 -33 20 -30 2; line main 6 22 42 26 22 24 2
  poly main 29 90 30 103 36 91; curve shade 30 98 22 96 12 78 6 62 14 62 24 78 30 92; box ink -34 0 -27 3
  box ink 20 0 27 3; oval ink 39 85 1.7 1.9; oval ink 49 76 1.2 1.2
"""


@dataclass(frozen=True)
class Shape:
    """One shape of a drawing, with its x and y numbers in drawing units."""

    kind: str
    paint: str
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Figure:
    """A drawing with where it stands, its height as a share of the short side, and its usual colours."""

    place: str
    size: float
    colours: tuple[str, ...]
    shapes: tuple[Shape, ...]


def parse(text: str) -> dict[str, Figure]:
    """Read drawings in the notation above; those that are no figures have no place, size or colours."""
    found: dict[str, Figure] = {}
    for block in text.strip().replace("\n  ", ";").splitlines():
        head, *parts = block.split(";")
        name, place, size, *colours = [*head.split(), "", "0"] if " " not in head else head.split()
        shapes: list[Shape] = []
        for part in parts:
            kind, paint, *numbers = part.split()
            if kind == "use":
                shapes += found[paint].shapes
            else:
                shapes.append(Shape(kind, paint, tuple(map(float, numbers))))
        found[name] = Figure(place, float(size), tuple(colours), tuple(shapes))
    return found


FIGURES = parse(DRAWINGS)
