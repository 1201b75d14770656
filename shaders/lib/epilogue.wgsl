// What is fused behind a contraction: every result goes through `epilogue`.
#if EPILOGUE
#import lib/math.wgsl
#endif

{{extras}}
{{epilogue}}
